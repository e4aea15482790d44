// Follows the field p. Without it the page still says what holds for 15, 20 and 25 dB.
"use strict";
(() => {
  const data = document.getElementById("numbers");
  if (!data) return;
  const { levels, outcomes } = JSON.parse(data.textContent);
  const field = document.getElementById("p");
  const slider = document.getElementById("slide");

  // The share of pictures whose own PSNR reaches p: as Summary.share_reaching in summary.py.
  function share(level, p) {
    const above = level.quantiles.filter((value) => value >= p).length / (level.quantiles.length || 1);
    return (level.identical + above * (level.pictures - level.identical)) / level.pictures;
  }

  function showLevel(cell, p) {
    const level = levels[cell.dataset.level];
    cell.className = level.mean === null || p <= level.mean ? "copy" : "deeper";
    cell.querySelector(".share").textContent = `${Math.round(share(level, p) * 100)} %`;
  }

  function showVerdict(place, p) {
    const found = outcomes[place.dataset.verdict].find(([limit]) => limit === null || p <= limit);
    place.textContent = found[1];
  }

  function showLine(line, p) {
    const { low, high, start, end } = line.dataset;
    const y = Number(start) + ((p - low) / (high - low)) * (end - start);
    line.setAttribute("transform", `translate(0 ${y})`);
    line.setAttribute("visibility", p >= low && p <= high ? "visible" : "hidden");
  }

  function show(p) {
    for (const place of document.querySelectorAll(".p-text")) place.textContent = p;
    for (const cell of document.querySelectorAll("[data-level]")) showLevel(cell, p);
    for (const place of document.querySelectorAll("[data-verdict]")) showVerdict(place, p);
    for (const line of document.querySelectorAll(".p-line")) showLine(line, p);
    // Kept in the address, so that reloading a growing report keeps it, and a link can carry it.
    history.replaceState(null, "", `#p=${p}`);
  }

  function follow(from, other) {
    from.addEventListener("input", () => {
      if (from.value === "" || !from.validity.valid) return;
      other.value = from.value;
      show(Number(from.value));
    });
  }

  follow(field, slider);
  follow(slider, field);
  document.getElementById("ask").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("ask").hidden = false;
  const given = /^#p=(\d+(?:\.\d+)?)$/.exec(location.hash);
  if (given) {
    field.value = slider.value = given[1];
    show(Number(given[1]));
  }
})();
