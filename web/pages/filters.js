/*
 * Filters: what is scanned when, one a zone.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
import { AVSCAN, get, put, segment } from "/api.js";
import { badge, change, el, table, yesNo } from "/dom.js";
import { objectForm } from "/object_form.js";

export async function show(main) {
	const list = el("div.sheet");

	async function fill() {
		const [filters, zones] = await Promise.all([
			get(`${AVSCAN}/filters`), get(`${AVSCAN}/zones`)]);
		const shares = new Map(zones.zones.map(
			z => [z.zone_name.toLowerCase(), z.shares]));

		list.replaceChildren(table([
			{ head: "Zone", cell: f => f.zone_name },
			{ head: "Shares", path: true, cell: f => (shares.get(
				f.zone_name.toLowerCase()) ?? [])
				.map(s => s.name).join(", ") },
			{ head: "Takes part", cell: f => yesNo(
				f.filter_enabled) },
			{ head: "Profile", cell: f => badge(f.scan_profile) },
			{ head: "Open on fail", cell: f => yesNo(
				f.open_on_fail) },
			{ head: "Pool", cell: f => f.pool },
			{ head: "", actions: true, cell: f => change("Edit",
				() => objectForm(`Filter of ${f.zone_name}`,
				"filter", f, async values => {
					await put(`${AVSCAN}/filters/` +
						  segment(f.id), values);
					await fill();
				})) },
		], filters.filters, "A zone is there as soon as a share has it."));
	}

	main.append(el("p.faint", "A change holds for every client within a " +
		       "second."), list);
	await fill();
}
