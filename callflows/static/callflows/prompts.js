// Knows how a prompt's page follows a conversion, and plays from where one clicks into the waveform.
// Without it the page shows both when it is reloaded, and the player's own line leads through the sound.

const PAUSE = 1000;

/** Show where a sound is, and play it from where one clicks. */
function follow(sound) {
  const [audio, wave] = [sound.querySelector("audio"), sound.querySelector("[data-wave]")];
  if (!wave) return;
  const seconds = Number(audio.dataset.seconds);
  const line = wave.querySelector("[data-at]");
  const show = () => {
    const place = (audio.currentTime / seconds) * wave.viewBox.baseVal.width;
    line.setAttribute("x1", place);
    line.setAttribute("x2", place);
  };
  for (const event of ["timeupdate", "seeking", "ended"]) audio.addEventListener(event, show);
  wave.addEventListener("click", (click) => {
    const box = wave.getBoundingClientRect();
    const at = Math.min(Math.max((click.clientX - box.left) / box.width, 0), 0.999) * seconds;
    const play = () => {
      audio.currentTime = at;
      audio.play();
    };
    if (audio.readyState > 0) play();
    else {
      audio.addEventListener("loadedmetadata", play, { once: true });
      audio.load();
    }
  });
}

/** Put in what has changed; a sound that plays is left alone until it has ended. */
function replace(part, html) {
  if (part.dataset.shown === html) return true;
  if ([...part.querySelectorAll("audio")].some((audio) => !audio.paused)) return false;
  const open = part.querySelector("details")?.open;
  part.innerHTML = html;
  part.dataset.shown = html;
  if (open) part.querySelector("details")?.setAttribute("open", "");
  part.querySelectorAll(".sound").forEach(follow);
  return true;
}

async function ask(page) {
  try {
    const response = await fetch(page.dataset.prompt, { headers: { Accept: "application/json" } });
    // Logged out: the page says so when it is reloaded.
    if (!response.ok || response.redirected) return;
    const now = await response.json();
    const shown = ["coming", "sounds"].map((name) => replace(page.querySelector(`[data-part=${name}]`), now[name]));
    if (!now.busy && shown.every(Boolean)) {
      page.querySelector("[data-told]").textContent = "The upload is converted, or has failed.";
      return;
    }
  } catch {
    // The server is away for a moment: ask again.
  }
  setTimeout(ask, PAUSE, page);
}

addEventListener("DOMContentLoaded", () => {
  const page = document.querySelector("[data-prompt]");
  if (!page) return;
  page.querySelectorAll(".sound").forEach(follow);
  if ("busy" in page.dataset) setTimeout(ask, PAUSE, page);
});
