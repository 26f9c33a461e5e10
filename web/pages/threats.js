/*
 * Threats: what was found, what was done, and how a false positive is undone;
 * and the allow-list.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
import { AVSCAN, QUARANTINE, THREATS, filePath, get, post, put, query, remove,
	 segment } from "/api.js";
import { attempt, badge, button, change, confirmed, el, facts, formDialog, notice,
	 number, table, textField, time } from "/dom.js";

const PAGE = 50;
const ALLOW = `${AVSCAN}/allow`;
const DAY = 86400;

function releaseForm(t, done) {
	const kinds = [["file", "this file, as it is"],
		       ["hash", "this content, wherever it is"],
		       ["threat", `everything called ${t.threat}`]]
		.filter(([kind]) => kind !== "hash" || t.hash !== null);
	const kind = el("select", kinds.map(([value, text]) =>
		el("option", { value }, text)));
	const reason = textField("reason", "Why", "",
				 "It is kept, with your name.");
	const days = textField("expires", "For how many days", "",
			       "Empty: until it is removed.", "number");

	formDialog(`Let ${t.file} through`, [
		{ name: "kind", label: "What is allowed", node: kind,
		  value: () => kind.value }, reason, days], "Let it through",
	async () => {
		const body = { id: t.id, kind: kind.value,
			       reason: reason.value() };

		if (days.value() !== "") {
			body.expires = Math.floor(Date.now() / 1000) +
				       Number(days.value()) * DAY;
		}
		await post(`${AVSCAN}/threats/release`, body);
		notice("It can be read.");
		await done();
	});
}

function actions(t, done) {
	const act = (call, said) => async () => {
		if (await attempt(call, said)) {
			await done();
		}
	};
	const file = `${QUARANTINE}/${filePath(t.file)}`;
	const quarantined = t.state === "quarantined";

	return [change("Release", () => releaseForm(t, done), "main"), " ",
		change("Scan again", act(() => post(
			`${AVSCAN}/threats/rescan`, { id: t.id }),
			"It was scanned again.")), " ",
		change(quarantined ? "Lift quarantine" : "Quarantine",
		       act(() => put(file, { quarantined: !quarantined }),
			   quarantined ? "Lifted." : "In quarantine."))];
}

async function view(main, id) {
	const box = el("div");

	async function fill() {
		const t = (await get(`${THREATS}/${segment(id)}`)).reports[0];
		const rows = [
			["File", t.file], ["Threat", t.threat],
			["State", badge(t.state)],
			["What was done", t.remediation],
			["Found", time(t.time)], ["Last seen", time(t.last_seen)],
			["Times", number(t.count)], ["By", t.server],
			["User", t.user], ["Client", t.client],
			["Share", t.share], ["How", t.source],
			["SHA-256", t.hash ?? "not known"],
			["Report", t.scan_id === "" ? "" : el("a", { href:
				`#/reports/${segment(t.scan_id)}` }, t.scan_id)],
		];

		box.replaceChildren(el("div.row", actions(t, fill)),
			el("div.sheet", facts(rows)),
			el("h2", "History"), el("div.sheet", table([
				{ head: "When", time: true, cell: h => time(h.time) },
				{ head: "State", cell: h => badge(h.state) },
				{ head: "Who", cell: h => h.who },
				{ head: "Why", cell: h => h.why },
			], t.history ?? [])));
	}

	main.append(el("p", el("a", { href: "#/threats" }, "All threats")), box);
	await fill();
}

export async function show(main, [id]) {
	const threats = el("div.sheet");
	const allowed = el("div.sheet");

	if (id !== undefined) {
		await view(main, id);
		return null;
	}
	async function page(resume) {
		const found = await get(THREATS + query(resume ? { resume } :
			{ limit: PAGE, sort: "time", dir: "DESC" }));

		threats.replaceChildren(table([
			{ head: "File", path: true, cell: t => el("a", {
				href: `#/threats/${segment(t.id)}` }, t.file) },
			{ head: "Threat", cell: t => t.threat },
			{ head: "State", cell: t => badge(t.state) },
			{ head: "User", cell: t => t.user },
			{ head: "Client", cell: t => t.client },
			{ head: "Found", time: true, cell: t => time(t.time) },
			{ head: "", actions: true, cell: t => change("Release",
				() => releaseForm(t, fill), "main") },
		], found.reports, "Nothing infected was found."));
		if (found.resume) {
			threats.append(button("More", () => attempt(
				() => page(found.resume))));
		}
	}

	async function fill() {
		const list = (await get(ALLOW)).allow;

		await page(null);
		allowed.replaceChildren(table([
			{ head: "What", cell: a => a.kind },
			{ head: "File, content or threat", path: true,
			  cell: a => a.file || a.hash || a.threat },
			{ head: "Why", cell: a => a.reason },
			{ head: "By", cell: a => a.author },
			{ head: "Until", cell: a => a.expires === null ?
				"removed" : time(a.expires) },
			{ head: "", actions: true, cell: a => change("Remove",
				() => drop(a), "danger") },
		], list, "No exception was made."));
	}

	async function drop(a) {
		if (await confirmed("Remove this exception?",
				    "What it let through is scanned again " +
				    "before it is read.", "Remove") &&
		    await attempt(() => remove(`${ALLOW}/${segment(a.id)}`),
				  "It is removed.")) {
			await fill();
		}
	}

	main.append(el("p.faint", "What is infected is denied to everybody. " +
		"Release lets a false positive through."), threats, el("h2", "Allow-list"), allowed);
	await fill();
	return null;
}
