/*
 * Reports: of runs, of individual scans, of each day; each with what was
 * found, and as a file.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
import { ANTIVIRUS, THREATS, get, query, remove, segment } from "/api.js";
import { attempt, badge, button, bytes, change, confirmed, duration, el, facts,
	 number,
	 table, time } from "/dom.js";

const PATH = `${ANTIVIRUS}/reports/scans`;
const PAGE = 50;
const EXPORT_PAGE = 1000;

const quoted = value => {
	const text = value === null || value === undefined ? "" :
		     String(value);

	return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` :
	       text;
};

function save(name, type, text) {
	const url = URL.createObjectURL(new Blob([text], { type }));

	el("a", { href: url, download: name }).click();
	URL.revokeObjectURL(url);
}

/* All pages of a list. */
async function all(path, values, plural) {
	const rows = [];
	let resume = null;

	do {
		const page = await get(path + query(resume === null ?
			{ ...values, limit: EXPORT_PAGE } : { resume }));

		rows.push(...page[plural]);
		resume = page.resume;
	} while (resume);
	return rows;
}

export function exports(name, rows) {
	const csv = async () => {
		const list = await rows();
		const heads = Object.keys(list[0] ?? {});

		save(`${name}.csv`, "text/csv", [heads, ...list.map(
			r => heads.map(h => typeof r[h] === "object" &&
				       r[h] !== null ? JSON.stringify(r[h]) :
				       r[h]))]
			.map(line => line.map(quoted).join(",")).join("\r\n") +
			"\r\n");
	};
	const json = async () => save(`${name}.json`, "application/json",
		JSON.stringify(await rows(), null, 1));

	return el("div.row", button("Export CSV", () => attempt(csv)),
		  button("Export JSON", () => attempt(json)));
}

const OF = { MANUAL: "scan by hand", ON_ACCESS: "scans on access" };
const of = r => OF[r.policy_id] ?? (r.policy_id || r.source);

const rate = value => value === null || value === undefined ? "" :
	`${bytes(value)}/s`;

async function view(main, id) {
	const r = (await get(`${PATH}/${segment(id)}`)).reports[0];
	const list = el("div.sheet");
	const rows = [
		["Started", time(r.start)], ["Ended", time(r.end)],
		["Duration", duration(r.duration)], ["Status", badge(r.status)],
		["Files scanned", number(r.files)],
		["Files reviewed", number(r.num_files_rev)],
		["Size scanned", bytes(r.size)],
		["Read by scanners", bytes(r.bytes_sent)],
		["Throughput", rate(r.throughput)],
		["Share of the network", r.bandwidth_utilisation === null ?
			"not known" : `${r.bandwidth_utilisation} %`],
		["Infected", number(r.infections)],
		["Without a verdict", number(r.scan_fails)],
		["Of", of(r)], ["Antivirus", r.av_service],
	];

	async function page(resume) {
		const found = await get(THREATS + query(resume ? { resume } :
			{ scan_id: id, limit: PAGE }));

		list.replaceChildren(table([
			{ head: "File", path: true, cell: t => t.file },
			{ head: "Threat", cell: t => t.threat },
			{ head: "What was done", cell: t => t.remediation },
			{ head: "Found", time: true, cell: t => time(t.time) },
			{ head: "", actions: true, cell: t => el("a.button",
				{ href: `#/threats/${segment(t.id)}` },
				"View") },
		], found.reports, "Nothing infected was found."));
		if (found.resume) {
			list.append(button("More", () => attempt(
				() => page(found.resume))));
		}
	}

	main.append(el("p", el("a", { href: "#/reports" }, "All reports")),
		el("div.sheet", facts(rows)),
		exports(`report-${id}`, async () => [r]),
		el("h2", "Infected files"), list,
		exports(`report-${id}-infected`, () => all(THREATS,
			{ scan_id: id }, "reports")));
	await page(null);
}

export async function show(main, [id]) {
	const list = el("div.sheet");

	if (id !== undefined) {
		await view(main, id);
		return null;
	}
	async function page(resume) {
		const found = await get(PATH + query(resume ? { resume } :
			{ limit: PAGE, sort: "start", dir: "DESC" }));

		list.replaceChildren(table([
			{ head: "Report", cell: r => el("a", {
				href: `#/reports/${segment(r.id)}` }, r.id) },
			{ head: "Of", cell: of },
			{ head: "Status", cell: r => badge(r.status) },
			{ head: "Started", time: true, cell: r => time(r.start) },
			{ head: "Files", number: true,
			  cell: r => number(r.files) },
			{ head: "Size", number: true, cell: r => bytes(r.size) },
			{ head: "Infected", number: true,
			  cell: r => number(r.infections) },
			{ head: "", actions: true, cell: r => change("Remove",
				() => drop(r), "danger") },
		], found.reports, "No report yet."));
		if (found.resume) {
			list.append(button("More", () => attempt(
				() => page(found.resume))));
		}
	}

	async function drop(r) {
		if (await confirmed(`Remove report ${r.id}?`,
				    "And the threats that it lists.",
				    "Remove") &&
		    await attempt(() => remove(`${PATH}/${segment(r.id)}`),
				  "It is removed.")) {
			await page(null);
		}
	}

	main.append(el("p.faint", "One for each run of a job, each scan by " +
		"hand, and each day of scans on access."),
		exports("reports", () => all(PATH, {}, "reports")), list);
	await page(null);
	return null;
}
