"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const narrow = window.matchMedia("(max-width: 700px)");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Text, grid and background follow the page's theme; everything else is in the specification.
  const themed = (layout) => {
    const axis = (own) => ({
      gridcolor: css("--grid"), linecolor: css("--line"), zerolinecolor: css("--line"),
      fixedrange: true, ...own,
    });
    return {
      ...layout,
      xaxis: axis(layout.xaxis), yaxis: axis(layout.yaxis),
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", dragmode: false,
      font: { family: "system-ui, sans-serif", size: narrow.matches ? 11 : 13, color: css("--text") },
      hoverlabel: { bgcolor: css("--card"), bordercolor: css("--line"), font: { color: css("--text") } },
    };
  };
  const draw = () => {
    for (const [name, figure] of Object.entries(figures)) {
      Plotly.react("figure-" + name, figure.data, themed(figure.layout),
        { responsive: true, displayModeBar: false });
    }
  };
  draw();
  dark.addEventListener("change", draw);
  narrow.addEventListener("change", draw);
})();
