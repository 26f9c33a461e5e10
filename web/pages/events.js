/*
 * Events: what an administrator should hear about, newest first.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
import { AVSCAN, get, query } from "/api.js";
import { attempt, badge, button, el, number, table, time } from "/dom.js";

const PAGE = 100;

/* Most are over as they happen. */
const lasted = e => !e.resolve_time ? el("div.faint", "and it is still so") :
	e.resolve_time > e.time_noticed + 60 ?
	el("div.faint", `until ${time(e.resolve_time)}`) : "";

export async function show(main) {
	const list = el("div.sheet");

	async function page(resume) {
		const found = await get(`${AVSCAN}/events` + query(resume ?
			{ resume } : { limit: PAGE }));

		list.replaceChildren(table([
			{ head: "When", time: true, cell: e => [
				time(e.time_noticed), lasted(e)] },
			{ head: "Severity", cell: e => badge(e.severity) },
			{ head: "Event", cell: e => [e.meaning, el("div.faint",
				e.name)] },
			{ head: "About", path: true, cell: e => e.about },
			{ head: "Particulars", path: true,
			  cell: e => e.message },
			{ head: "Times", number: true,
			  cell: e => number(e.count) },
		], found.events, "Nothing has happened yet."));
		list.append(el("div.row", resume ? button("Newest", () => attempt(
			() => page(null))) : "", found.resume ? button("Older",
			() => attempt(() => page(found.resume))) : ""));
	}

	main.append(list);
	await page(null);
	return null;
}
