/*
 * How it stands, and the last day by the minute.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
import { AVSCAN, get } from "/api.js";
import { badge, el, number, renew, table, time } from "/dom.js";

const TILES = [
	["Scan requests", s => s.system_stats.all_scan_requests],
	["Infected", s => s.system_stats.cee_infected_count],
	["Without a verdict", s => s.system_stats.scan_fails],
	["Scans waiting", s => s.pending_scans],
	["In the queues", s => s.system_stats.fast_file_queue_size +
		s.system_stats.slow_file_queue_size +
		s.system_stats.owed_file_queue_size +
		s.system_stats.batch_file_queue_size],
	["SMB connections", s => s.smb_connections],
	["A scan takes", s => s.system_stats.avg_scan_duration, "ms"],
	["A reader waits", s => s.system_stats.avg_scan_block_time, "ms"],
];

/* As the server gives it; most give a time. */
const signatures = text => Number.isNaN(Date.parse(text)) ? text :
	time(Date.parse(text) / 1000);

const SERVERS = [
	{ head: "Server", cell: s => s.server_name },
	{ head: "State", cell: s => badge(s.server_state) },
	{ head: "Antivirus", cell: s => s.av_vendor },
	{ head: "Signatures", cell: s => signatures(s.signature_timestamp) },
	{ head: "In flight", number: true, cell: s => number(s.connections) },
	{ head: "Scans", number: true, cell: s => number(s.scan_requests) },
	{ head: "Scan ms", number: true, cell: s => number(s.scan_rtt) },
	{ head: "Heartbeat ms", number: true,
	  cell: s => number(s.heartbeat_rtt) },
];

function color(name) {
	return getComputedStyle(document.documentElement)
		.getPropertyValue(name).trim();
}

function chart(title, lines) {
	const canvas = el("canvas", { role: "img", "aria-label": title });

	Chart.defaults.color = color("--faint");
	Chart.defaults.borderColor = color("--line");
	const drawn = new Chart(canvas, {
		type: "line",
		data: { labels: [], datasets: lines.map(l => ({
			label: l.label, data: [], borderColor: color(l.color),
			backgroundColor: color(l.color), borderWidth: 1.5,
			pointRadius: 0, stepped: true })) },
		options: { animation: false, maintainAspectRatio: false,
			   interaction: { mode: "index", intersect: false },
			   scales: { y: { beginAtZero: true,
					  ticks: { precision: 0 } },
				     x: { ticks: { maxTicksLimit: 4,
						   maxRotation: 0 } } },
			   plugins: { title: { display: true, text: title },
				      legend: { display: lines.length > 1 } } },
	});

	return { node: el("div.sheet.chart", canvas), put(rows) {
		drawn.data.labels = rows.map(r => new Date(r.time * 1000)
			.toLocaleTimeString([], { hour: "2-digit",
						  minute: "2-digit" }));
		lines.forEach((l, i) => {
			const set = drawn.data.datasets[i];

			set.data = rows.map(r => r[l.field]);
			/* of the first minutes there is no line to be seen */
			set.pointRadius = rows.length < 30 ? 2 : 0;
		});
		drawn.update();
	} };
}

export async function show(main) {
	const tiles = el("div.tiles");
	const up = el("div");
	const servers = el("div");
	const charts = [
		chart("Scans a minute", [
			{ label: "scans", field: "scans", color: "--accent" },
			{ label: "no verdict", field: "failures",
			  color: "--warn" }]),
		chart("Infections a minute", [
			{ label: "infections", field: "infections",
			  color: "--bad" }]),
		chart("Average ms", [
			{ label: "a scan", field: "avg_scan_duration",
			  color: "--accent" },
			{ label: "a wait", field: "avg_wait_duration",
			  color: "--warn" }]),
	];

	async function fill() {
		const [status, day] = await Promise.all([
			get(`${AVSCAN}/nodes/local/status`),
			get(`${AVSCAN}/history`)]);
		const s = status.nodes[0].status;

		renew(tiles, ...TILES.map(([name, value, unit]) => el(
			"div.sheet.tile", el("b", number(value(s)),
				unit && el("small", ` ${unit}`)),
			el("span", name))));
		renew(up, ...(s.events ?? []).map(e => el(
			"p.sheet", badge(e.severity), " ", e.message || e.name,
			el("span.faint", ` since ${time(e.since)}`))));
		renew(servers, table(SERVERS, s.server_status,
			"No antivirus server is configured."));
		charts.forEach(c => c.put(day.history));
	}

	main.append(up, tiles, el("h2", "Antivirus servers"),
		    el("div.sheet", servers), el("h2", "The last day"),
		    el("div.charts", charts.map(c => c.node)));
	await fill();
	return fill;
}
