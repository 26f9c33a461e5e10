/*
 * Self-test: what cavad can see of itself, and why a file is denied.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
import { AVSCAN, get, post, query } from "/api.js";
import { attempt, badge, change, el, table } from "/dom.js";

export async function show(main) {
	const steps = el("div.sheet", { hidden: true, "aria-live": "polite" });
	const answer = el("div.sheet", { hidden: true, "aria-live": "polite" });
	const path = el("input", { id: "explain-path", type: "text",
				   placeholder: "/srv/share/file" });

	const run = change("Test now", async () => {
		run.disabled = true;
		await attempt(async () => {
			const list = (await post(`${AVSCAN}/selftest`)).selftest;

			steps.hidden = false;
			steps.replaceChildren(table([
				{ head: "Step", cell: s => s.step },
				{ head: "About", cell: s => s.about },
				{ head: "Result", cell: s => badge(s.result) },
				{ head: "", cell: s => [s.text, s.mend ? el(
					"div.faint", s.mend) : ""] },
			], list));
		});
		run.disabled = false;
	}, "main");

	async function explain(event) {
		event.preventDefault();
		await attempt(async () => {
			const e = (await get(`${AVSCAN}/explain` + query(
				{ path: path.value }))).explain;

			answer.hidden = false;
			answer.replaceChildren(el("p", el("b", e.sentence)),
				table([
					{ head: "About", cell: f => f.about },
					{ head: "", path: true,
					  cell: f => f.text },
				], e.facts));
		});
	}

	main.append(el("p.faint", "Looks at each part that cavad can see. " +
		"cavactl selftest, as root on the file server, also sends " +
		"the test file through each zone and looks at smb.conf."),
		el("div.row", run), steps, el("h2", "Why is a file denied?"),
		el("form.row", { onsubmit: explain }, el("label",
			{ "for": "explain-path" }, "Path"), path,
			el("button", { type: "submit" }, "Explain")), answer);
	return null;
}
