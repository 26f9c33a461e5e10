/*
 * Antivirus servers: made, changed, removed, probed.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
import { AVSCAN, get, post, put, remove, segment } from "/api.js";
import { attempt, badge, button, confirmed, el, number, openDialog, renew,
	 table, yesNo } from "/dom.js";
import { objectForm } from "/object_form.js";

const PATH = `${AVSCAN}/servers`;

async function probe(name) {
	await attempt(async () => {
		const p = (await post(`${AVSCAN}/probe`, { server: name })).probe;

		openDialog(`Probe of ${name}`, el("p", badge(p.good ? "ok" :
			"failed"), " ", p.expected), p.exchanges.map(x => [
			el("h2", x.what ?? x.name ?? "Exchange"),
			el("pre", JSON.stringify(x, null, 1))]));
	});
}

export async function show(main) {
	const list = el("div.sheet");

	async function fill() {
		const [servers, status] = await Promise.all([
			get(PATH), get(`${AVSCAN}/nodes/1/status`)]);
		const states = new Map(status.nodes[0].status.server_status
			.map(s => [s.server_name, s]));

		renew(list, table([
			{ head: "Name", cell: s => s.server_name },
			{ head: "Address", path: true,
			  cell: s => s.server_uri },
			{ head: "Pool", cell: s => s.pool },
			{ head: "Enabled", cell: s => yesNo(s.enabled) },
			{ head: "State", cell: s => {
				const now = states.get(s.server_name);

				return now ? [badge(now.server_state), " ",
					      el("span.faint", now.detail)] :
				       el("span.faint", "not in use");
			} },
			{ head: "Load", number: true, cell: s => number(
				states.get(s.server_name)?.connections) },
			{ head: "", actions: true, cell: s => [
				button("Probe", () => probe(s.server_name)),
				" ", button("Edit", () => edit(s)), " ",
				button("Remove", () => drop(s), "danger")] },
		], servers.servers, "No antivirus server yet."));
	}

	const edit = s => objectForm(`Server ${s.server_name}`, "server", s,
		async values => {
			await put(`${PATH}/${segment(s.id)}`, values);
			await fill();
		});

	async function drop(s) {
		if (await confirmed(`Remove ${s.server_name}?`,
				    "Its scans under way go to another one.",
				    "Remove") &&
		    await attempt(() => remove(`${PATH}/${segment(s.id)}`),
				  `${s.server_name} is removed.`)) {
			await fill();
		}
	}

	main.append(el("div.row", button("Add a server", () => objectForm(
		"New server", "server", null, async values => {
			await post(PATH, values);
			await fill();
		}), "main")), list);
	await fill();
	return fill;
}
