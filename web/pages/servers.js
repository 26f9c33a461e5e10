/*
 * Antivirus servers: made, changed, removed, probed.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
import { AVSCAN, get, post, put, remove, segment } from "/api.js";
import { attempt, badge, bytes, change, confirmed, el, facts, number, renew,
	 table,
	 tell, time, yesNo } from "/dom.js";
import { objectForm } from "/object_form.js";

const PATH = `${AVSCAN}/servers`;

/* What was asked or answered, as it went over the wire. */
function wire(name, side) {
	return side ? [el("h3", `${name}, ${bytes(side.bytes)}` +
			  (side.cut ? ", its beginning" : "")),
		       el("pre", side.text)] : [];
}

/* What cavad made of it; times are given as such. */
const understood = decoded => facts(Object.entries(decoded ?? {})
	.filter(([, value]) => value !== null && value !== "")
	.map(([name, value]) => [name.replaceAll("_", " "),
		name === "signature_timestamp" ? time(value) || "not known" :
		typeof value === "boolean" ? (value ? "yes" : "no") :
		String(value)]));

async function probe(name) {
	await attempt(async () => {
		const p = (await post(`${AVSCAN}/probe`, { server: name })).probe;

		tell(`Probe of ${name}`, el("p", badge(p.good ? "ok" :
			"failed"), " ", p.expected), p.exchanges.map(x => [
			el("h2", x.what === "scan" ? "Question about a file" :
			   "Heartbeat"),
			el("p", x.error ? badge(x.error) : "answered",
			   ` after ${number(Math.round(x.us / 1000))} ms`),
			understood(x.decoded), wire("Sent", x.sent),
			wire("Received", x.received)]));
	});
}

export async function show(main) {
	const list = el("div.sheet");

	async function fill() {
		const [servers, status] = await Promise.all([
			get(PATH), get(`${AVSCAN}/nodes/local/status`)]);
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
				change("Probe", () => probe(s.server_name)),
				" ", change("Edit", () => edit(s)), " ",
				change("Remove", () => drop(s), "danger")] },
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

	main.append(el("p.faint", "The one with the least to do is asked, " +
		"another one when it fails. Probe asks one now and shows both " +
		"sides."), el("div.row", change("Add a server", () => objectForm(
		"New server", "server", null, async values => {
			await post(PATH, values);
			await fill();
		}), "main")), list);
	await fill();
	return fill;
}
