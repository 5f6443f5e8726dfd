// Knows how the rows of a flow's page behave: order, new and removed rows, and the fields of what is chosen.
// Without it rows keep their order, and the fields of another action or endpoint come with the next save.

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

/** Return a row's fields for the chosen action, from the section's templates when it has none of them yet. */
function optionsOf(row, action) {
  const there = row.querySelector(`[data-action="${CSS.escape(action)}"]`);
  const made = there ? null : row.closest("[data-rows]").querySelector(`[data-options="${CSS.escape(action)}"]`);
  if (!made) return there;
  const number = inputOf(row, "position").name.match(/-(\w+)-position$/)[1];
  const holder = document.createElement("template");
  holder.innerHTML = made.innerHTML.replaceAll("__prefix__", number);
  const fields = holder.content.firstElementChild;
  row.querySelector(".step-fields").prepend(fields);
  return fields;
}

/** Return the values of a field that is shown; one that is not shown chooses nothing. */
function valuesOf(row, name) {
  const inputs = [...row.querySelectorAll(`[name$="-${CSS.escape(name)}"]`)].filter((each) => !each.matches(":disabled"));
  const chosen = inputs.filter((each) => each.type !== "checkbox" || each.checked).map((each) => each.value);
  return chosen.length ? chosen : [""];
}

/** Show the fields of the chosen action, endpoint and target; the others are disabled, so that they are not sent. */
function show(row) {
  row.classList.toggle("removed", Boolean(inputOf(row, "DELETE")?.checked));
  const action = inputOf(row, "action")?.value;
  if (action) {
    const shown = optionsOf(row, action);
    for (const each of row.querySelectorAll("[data-action]")) each.hidden = each.disabled = each !== shown;
    if (shown) showFields(row, shown);
  }
  const then = inputOf(row, "then")?.value;
  for (const target of row.querySelectorAll("[data-then]")) target.hidden = target.dataset.then !== then;
}

/** Show the fields whose conditions hold. What decides about others has fewer conditions than they, and comes first. */
function showFields(row, options) {
  const fields = [...options.querySelectorAll("[data-when]")].map((field) => [field, JSON.parse(field.dataset.when)]);
  fields.sort(([, one], [, other]) => Object.keys(one).length - Object.keys(other).length);
  for (const [field, when] of fields) {
    const fits = Object.entries(when).every(([name, allowed]) =>
      valuesOf(row, name).some((value) => allowed.includes(value)),
    );
    field.hidden = !fits;
    for (const input of field.querySelectorAll("input, select, textarea")) input.disabled = !fits;
  }
}

/** Offer the names that the steps have now, also those that are not saved yet. */
function suggest() {
  const names = [...document.querySelectorAll("[data-row].step:not(.removed)")].map((row) => inputOf(row, "name").value);
  const list = document.getElementById("step-names");
  list.replaceChildren(...names.filter(Boolean).map((name) => new Option("", name)));
}

/** Offer the outcomes that the step of a branch can have, as its row stands now. */
function suggestOutcomes(branch) {
  const known = JSON.parse(document.getElementById("outcomes-of").textContent);
  const steps = [...document.querySelectorAll("[data-row].step:not(.removed)")];
  const step = steps.find((row) => inputOf(row, "name").value === inputOf(branch, "step").value);
  const action = step && inputOf(step, "action").value;
  const kinds = { connect: () => valuesOf(step, "connect.to")[0], input: () => inputKind(step) };
  const named = action ? known[action]?.[kinds[action]?.() ?? ""] ?? [] : known.any;
  // In braces stands a setting: the outcomes are what it names now.
  const found = named.flatMap((name) => (name.startsWith("{") ? chosenBy(step) : [name])).filter(Boolean);
  const first = step && step === steps[0] ? known.first : [];
  const list = document.getElementById("outcomes");
  list.replaceChildren(...[...new Set([...found, ...first])].map((name) => new Option("", name)));
}

const chosenBy = (step) =>
  [...step.querySelectorAll("[data-outcome]:enabled")].map((input) => input.value.trim());

/** Keep an empty row at the end of a field that takes several values. */
function grow(several) {
  const last = several.lastElementChild;
  if (![...last.querySelectorAll("input, select")].some((each) => each.value)) return;
  const next = last.cloneNode(true);
  next.dataset.one = Number(last.dataset.one) + 1;
  for (const each of next.querySelectorAll("input, select")) {
    each.value = "";
    each.setAttribute("aria-label", each.getAttribute("aria-label").replace(`, ${last.dataset.one}`, `, ${next.dataset.one}`));
  }
  several.append(next);
}

const inputKind = (step) =>
  valuesOf(step, "input.mode")[0] === "asynchronous" ? "asynchronous" : valuesOf(step, "input.type").join(" ");

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
    if (event.target.closest("[data-several]")) grow(event.target.closest("[data-several]"));
    suggest();
  });
  section.addEventListener("focusin", (event) => {
    if (event.target.matches("[list=outcomes]")) suggestOutcomes(event.target.closest("[data-row]"));
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
