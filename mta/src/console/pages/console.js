// What pages can do in addition when scripts run; every page works without.
"use strict";

// Between two questions about work that is under way.
const POLL = 2000;
// After the last key before groups are looked for.
const TYPING = 250;

document.documentElement.classList.add("js");
document.querySelectorAll("[data-groups]").forEach(suggest);
document.querySelectorAll("[data-copy]").forEach(offerCopy);
watch();

// Suggests groups as somebody types. Only what is selected counts: it is sent by its id, and typing on takes it back.
function suggest(place) {
  const input = place.querySelector("input[name=text]");
  place.querySelectorAll(".without-script").forEach((element) => element.remove());
  const chosen = element("input", { type: "hidden", name: "group" });
  chosen.value = place.dataset.chosen || "";
  const list = element("ul", { id: "group-list", role: "listbox", "aria-label": "Groups", class: "suggestions", hidden: "" });
  const state = element("p", { role: "status", class: "soft" });
  input.after(list);
  place.append(chosen, state);
  set(input, { role: "combobox", "aria-autocomplete": "list", "aria-controls": "group-list", "aria-expanded": "false" });
  let timer = 0;
  let asked = 0;
  let active = -1;

  const close = () => {
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const select = (option) => {
    chosen.value = option.dataset.id;
    input.value = option.dataset.name;
    state.textContent = `Selected: ${option.textContent}`;
    close();
  };
  const show = (groups) => {
    list.replaceChildren(...groups.map((group, number) => {
      const option = element("li", { role: "option", id: `group-option-${number}`, "aria-selected": "false" });
      option.dataset.id = group.id;
      option.dataset.name = group.name;
      option.append(element("b", {}, group.name), " ", element("span", { class: "soft" }, group.address));
      // Before the field loses the focus, which closes the list.
      option.addEventListener("mousedown", (event) => { event.preventDefault(); select(option); });
      return option;
    }));
    active = -1;
    list.hidden = groups.length === 0;
    input.setAttribute("aria-expanded", String(groups.length > 0));
    state.textContent = groups.length > 0 ? `${groups.length} suggested.` : "No mail-enabled security group begins like that.";
  };
  const look = async () => {
    const text = input.value.trim();
    const turn = ++asked;
    if (text === "") { state.textContent = ""; return close(); }
    try {
      const answer = await fetch(`${place.dataset.groups}?text=${encodeURIComponent(text)}`);
      const body = await answer.json();
      if (turn !== asked) return;
      if (answer.ok) return show(body);
      close();
      state.textContent = `${body.detail} ${body.next_step}`;
    } catch {
      if (turn === asked) state.textContent = "The groups cannot be read now. Type on to try again.";
    }
  };
  input.addEventListener("input", () => {
    chosen.value = "";
    clearTimeout(timer);
    timer = setTimeout(look, TYPING);
  });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const options = [...list.children];
    if (event.key === "Escape") return close();
    if (event.key === "Enter" && active >= 0) { event.preventDefault(); return select(options[active]); }
    if (event.key === "Enter" && chosen.value === "") { event.preventDefault(); return look(); }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || list.hidden) return;
    event.preventDefault();
    active = (active + step + options.length) % options.length;
    options.forEach((option, number) => option.setAttribute("aria-selected", String(number === active)));
    input.setAttribute("aria-activedescendant", options[active].id);
    options[active].scrollIntoView({ block: "nearest" });
  });
}

// Keeps the part of the page that changes by itself as it is, by asking whether anything did.
function watch() {
  const place = document.getElementById("live");
  if (!place || !place.dataset.poll) return;
  const announced = element("p", { role: "status", class: "visually-hidden" });
  place.after(announced);
  let known = null;
  const ask = async () => {
    try {
      const text = await (await fetch(place.dataset.poll)).text();
      if (known !== null && text !== known && await renew(place, announced)) return;
      known = text;
    } catch {
      announced.textContent = "Signet does not answer; asking again.";
    }
    setTimeout(ask, POLL);
  };
  ask();
}

// Takes the changed part from the page as it is now; whether it has come to its end.
async function renew(place, announced) {
  const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
  const fresh = page.getElementById("live");
  if (!fresh || !fresh.dataset.poll) {
    location.reload();
    return true;
  }
  place.replaceChildren(...fresh.childNodes);
  const summary = place.querySelector("[role=status]");
  announced.textContent = summary ? summary.textContent : "";
  return false;
}

// A button that copies a value somebody needs elsewhere.
function offerCopy(place) {
  if (!navigator.clipboard) return;
  const button = element("button", { type: "button", class: "quiet" }, "Copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(place.textContent);
    button.textContent = "Copied";
  });
  place.after(button);
}

function element(name, attributes, text) {
  const made = document.createElement(name);
  set(made, attributes);
  if (text) made.textContent = text;
  return made;
}

function set(target, attributes) {
  for (const [name, value] of Object.entries(attributes)) target.setAttribute(name, value);
}
