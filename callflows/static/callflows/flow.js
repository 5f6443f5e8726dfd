// Knows how the rows of a flow's page behave: order, new and removed rows, and the fields of the chosen action.
// Without it the page shows the fields of all actions, and rows keep their order.

const rowsOf = (list) => [...list.querySelectorAll(":scope > [data-row]")];
const inputOf = (row, name) => row.querySelector(`[name$="-${CSS.escape(name)}"]`);

/** Write each row's place into its hidden field, show its number, and offer no move that is none. */
function number(list) {
  const rows = rowsOf(list);
  rows.forEach((row, place) => {
    inputOf(row, "position").value = place;
    const shown = row.querySelector("[data-row-number]");
    if (shown) shown.textContent = `${place + 1}`;
    row.querySelector("[data-row-up]").disabled = place === 0;
    row.querySelector("[data-row-down]").disabled = place === rows.length - 1;
  });
}

/** Move a row one place; the button keeps the focus, or hands it to the other one at the end of the list. */
function move(list, row, button, up) {
  const other = up ? row.previousElementSibling : row.nextElementSibling;
  if (!other) return;
  if (up) other.before(row);
  else other.after(row);
  number(list);
  (button.disabled ? row.querySelector(up ? "[data-row-down]" : "[data-row-up]") : button).focus();
}

function drag(list, row, event) {
  event.preventDefault();
  const follow = (at) => {
    const others = rowsOf(list).filter((each) => each !== row);
    const middle = (each) => each.getBoundingClientRect().top + each.getBoundingClientRect().height / 2;
    const next = others.find((each) => at.clientY < middle(each));
    if (next) next.before(row);
    else list.append(row);
  };
  const drop = () => {
    row.classList.remove("dragged");
    document.removeEventListener("pointermove", follow);
    number(list);
  };
  row.classList.add("dragged");
  document.addEventListener("pointermove", follow);
  document.addEventListener("pointerup", drop, { once: true });
  document.addEventListener("pointercancel", drop, { once: true });
}

/** Add an empty row. A row that is removed stays, marked: the numbers in the fields' names have no gaps. */
function add(section, list) {
  const total = document.getElementById(`id_${section.dataset.rows}-TOTAL_FORMS`);
  const holder = document.createElement("template");
  holder.innerHTML = section.querySelector("[data-row-template]").innerHTML.replaceAll("__prefix__", total.value);
  const row = holder.content.querySelector("[data-row]");
  total.value = Number(total.value) + 1;
  section.querySelector("[data-row-hint]")?.remove();
  list.append(row);
  number(list);
  show(row);
  row.querySelector("input:not([type=hidden]), select").focus();
}

/** Show the fields of the chosen action, app and target; the others are disabled, so that they are not sent. */
function show(row) {
  row.classList.toggle("removed", Boolean(inputOf(row, "DELETE")?.checked));
  const action = inputOf(row, "action")?.value;
  const app = inputOf(row, "connect.app")?.value;
  for (const group of row.querySelectorAll("[data-action]")) {
    const fits = group.dataset.action === action && [undefined, app].includes(group.dataset.app);
    group.hidden = group.disabled = !fits;
  }
  const then = inputOf(row, "then")?.value;
  for (const target of row.querySelectorAll("[data-then]")) target.hidden = target.dataset.then !== then;
}

/** Offer the names that the steps have now, also those that are not saved yet. */
function suggest() {
  const names = [...document.querySelectorAll("[data-row].step:not(.removed)")].map((row) => inputOf(row, "name").value);
  const list = document.getElementById("step-names");
  list.replaceChildren(...names.filter(Boolean).map((name) => new Option("", name)));
}

for (const section of document.querySelectorAll("[data-rows]")) {
  const list = section.querySelector("[data-row-list]");
  const place = (row) => Number(inputOf(row, "position").value || Infinity);
  // After a failed save the rows come in the order of their numbers, not in the one that was chosen.
  list.append(...rowsOf(list).sort((one, other) => place(one) - place(other) || 0));
  number(list);
  rowsOf(list).forEach(show);
  section.querySelector("[data-row-add]")?.addEventListener("click", () => add(section, list));
  section.addEventListener("input", (event) => {
    const row = event.target.closest("[data-row]");
    if (row) show(row);
    suggest();
  });
  section.addEventListener("click", (event) => {
    const up = event.target.closest("[data-row-up]");
    const button = up || event.target.closest("[data-row-down]");
    if (button) move(list, button.closest("[data-row]"), button, Boolean(up));
  });
  section.addEventListener("pointerdown", (event) => {
    const handle = event.target.closest("[data-row-handle]");
    if (handle) drag(list, handle.closest("[data-row]"), event);
  });
}
suggest();
