/*
 * What every page is made of: elements, tables, badges, forms, notices. Text
 * goes in as text, never as HTML: names of files and threats are hostile.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

/* el("a.button", {href: "#x"}, "text", child...) */
export function el(kind, ...rest) {
	const [tag, ...classes] = kind.split(".");
	const node = document.createElement(tag);

	if (classes.length > 0) {
		node.className = classes.join(" ");
	}
	for (const part of rest.flat(Infinity)) {
		if (part === null || part === undefined || part === false) {
			continue;
		}
		if (typeof part === "object" && !(part instanceof Node)) {
			attributes(node, part);
		} else {
			node.append(part);
		}
	}
	return node;
}

function attributes(node, values) {
	for (const [name, value] of Object.entries(values)) {
		if (name.startsWith("on")) {
			node.addEventListener(name.slice(2), value);
		} else if (typeof value === "boolean") {
			node.toggleAttribute(name, value);
		} else if (value !== null && value !== undefined) {
			node.setAttribute(name, value);
		}
	}
}

/* --- values as people read them --- */

export const number = value => Number(value ?? 0).toLocaleString();

export function bytes(value) {
	const units = ["B", "KiB", "MiB", "GiB", "TiB"];
	let n = Number(value ?? 0);
	let i = 0;

	while (n >= 1024 && i < units.length - 1) {
		n /= 1024;
		i++;
	}
	return `${n.toLocaleString(undefined, { maximumFractionDigits: 1 })} ${units[i]}`;
}

export const time = seconds => seconds ? new Date(seconds * 1000)
	.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" })
	: "";

export function duration(seconds) {
	if (seconds === null || seconds === undefined) {
		return "";
	}
	const s = Math.round(seconds);
	if (s < 60) {
		return `${s} s`;
	}
	const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
	const i = units.findIndex(([, size]) => s >= size);

	return units.slice(i, i + 2).map(([name, size], k) => [Math.floor(
		(k === 0 ? s : s % units[i][1]) / size), name])
		.filter(([n]) => n > 0).map(part => part.join(" ")).join(" ");
}

/* A setting's, with the unit of its schema. */
export function withUnit(value, unit) {
	if (unit === "bytes") {
		return bytes(value);
	}
	if (unit === "s") {
		return duration(value);
	}
	return unit ? `${value} ${unit}` : String(value ?? "");
}

const TONES = {
	good: ["online", "RUNNING", "succeeded", "Finish", "Succeeded", "clean",
	       "yes", "information", "released", "allowed", "repaired",
	       "ok"],
	warn: ["suspect", "paused_user", "paused_system", "paused_policy",
	       "paused_priority", "quarantined", "warning",
	       "Paused", "Pending"],
	bad: ["offline", "FAULTED", "antivirus in error", "failed", "Failed",
	      "infected", "critical", "version mismatch", "deleted",
	      "truncated"],
};

export function badge(text) {
	const tone = Object.keys(TONES).find(t => TONES[t].includes(text)) ??
		     "plain";

	return el(`span.badge.${tone}`, text);
}

export const yesNo = value => value ? badge("yes") : el("span.faint", "no");

/* --- tables --- */

/* columns: {head, cell: row => text or node, number?, path?, time?} */
export function table(columns, rows, empty = "Nothing here.") {
	if (rows.length === 0) {
		return el("p.faint", empty);
	}
	const kind = c => c.number ? "number" : c.path ? "path" :
		     c.time ? "time" : c.actions ? "actions" : null;
	const cell = (c, row) => el("td", { "class": kind(c),
					    "data-head": c.head },
				    el("span", c.cell(row)));

	return el("div.scroll", el("table.cards",
		el("thead", el("tr", columns.map(c => el(
			"th", { "class": kind(c), scope: "col" }, c.head)))),
		el("tbody", rows.map(row => el(
			"tr", columns.map(c => cell(c, row)))))));
}

/* One thing: [[name, text or node]...] */
export const facts = rows => el("table.facts", el("tbody", rows.map(
	([name, value]) => el("tr", el("th", { scope: "row" }, name),
			      el("td", value)))));

/*
 * What is shown anew now and then is replaced only where it has changed, so
 * that who is in it by keyboard is not thrown out.
 */
export function renew(box, ...nodes) {
	const next = el("div", nodes);

	if (next.innerHTML !== box.innerHTML) {
		box.replaceChildren(...next.childNodes);
	}
}

export const button = (text, onclick, kind = "") =>
	el("button" + (kind && "." + kind), { type: "button", onclick }, text);

/* A button that changes something: not for who may only read. */
export const change = (text, onclick, kind = "") =>
	document.body.classList.contains("read-only") ? "" :
	button(text, onclick, kind);

/* --- notices, dialogs, forms --- */

export function notice(text, tone = "good") {
	const box = document.getElementById("notice");
	const line = el(`div.${tone}`, text);

	box.append(line);
	setTimeout(() => line.remove(), tone === "bad" ? 12000 : 5000);
}

/* Does it, and says what went wrong. True: it worked. */
export async function attempt(action, done) {
	try {
		await action();
	} catch (error) {
		notice(error.message, "bad");
		return false;
	}
	if (done) {
		notice(done);
	}
	return true;
}

const dialog = () => document.getElementById("dialog");

export function openDialog(title, ...content) {
	const d = dialog();

	d.replaceChildren(el("h1", { id: "dialog-title", tabindex: -1 }, title),
			  ...content.flat(Infinity));
	d.showModal();
}

export const closeDialog = () => dialog().close();

/* Something to read, and to close. */
export function tell(title, ...content) {
	openDialog(title, ...content,
		   el("div.row", button("Close", closeDialog)));
	/* not where its only button is, which is its end */
	dialog().scrollTop = 0;
	document.getElementById("dialog-title").focus();
}

/* Resolves to true when it was agreed to. */
export function confirmed(title, text, verb, kind = "danger") {
	return new Promise(resolve => {
		const answer = yes => { closeDialog(); resolve(yes); };

		openDialog(title, el("p", text), el(
			"div.row", button(verb, () => answer(true), kind),
			button("Leave it", () => answer(false))));
		dialog().addEventListener("cancel", () => resolve(false),
					  { once: true });
	});
}

/*
 * A form in a dialog. fields: {name, label, help, node, value: () => v};
 * submit may throw an ApiError, which is shown at the field that it names.
 */
export function formDialog(title, fields, verb, submit) {
	const general = el("p.error", { role: "alert" });
	const rows = fields.map(f => {
		const id = `field-${f.name}`;
		const error = el("div.error", { id: `${id}-error`,
						role: "alert" });

		f.node.id = id;
		f.node.setAttribute("aria-describedby",
				    `${id}-help ${id}-error`);
		return { field: f, error, row: el(
			"div.field", el("label", { "for": id }, f.label),
			f.node, el("div.help", { id: `${id}-help` },
				   f.help ?? ""), error) };
	});
	const form = el("form", { onsubmit: async event => {
		event.preventDefault();
		general.textContent = "";
		for (const r of rows) {
			r.row.classList.remove("wrong");
			r.error.textContent = "";
		}
		try {
			await submit();
			closeDialog();
		} catch (error) {
			const r = rows.find(x => x.field.name === error.field);

			if (r === undefined) {
				general.textContent = error.message;
				return;
			}
			r.row.classList.add("wrong");
			r.error.textContent = error.message;
			r.field.node.focus();
		}
	} }, rows.map(r => r.row), general, el(
		"div.row", el("button.main", { type: "submit" }, verb),
		button("Cancel", closeDialog)));

	openDialog(title, form);
}

export function textField(name, label, value = "", help = "", type = "text") {
	const node = el("input", { type, value, autocomplete: "off" });

	return { name, label, help, node, value: () => node.value };
}
