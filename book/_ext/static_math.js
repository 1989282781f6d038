// Reads one formula a line as JSON, answers one line: the HTML of MathJax and, where there is one, its error.
// An empty line asks for the style sheet of everything set so far.
const [source] = process.argv.slice(2);
const {createInterface} = require("node:readline");

require(source)
  .init({
    loader: {load: ["input/tex-full", "output/chtml", "adaptors/liteDOM", "a11y/assistive-mml"], versionWarnings: false},
    tex: {packages: {"[-]": ["noundefined"]}},
    chtml: {fontURL: "fonts"},
    startup: {typeset: false},
  })
  .then((MathJax) => {
    const adaptor = MathJax.startup.adaptor;
    const answer = (line) => {
      if (!line) return {css: adaptor.textContent(MathJax.chtmlStylesheet())};
      const html = adaptor.outerHTML(MathJax.tex2chtml(...JSON.parse(line)));
      return {html, error: html.match(/data-mjx-error="([^"]*)"/)?.[1] ?? null};
    };
    createInterface({input: process.stdin}).on("line", (line) => console.log(JSON.stringify(answer(line))));
  });
