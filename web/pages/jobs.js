/*
 * Jobs and their runs: made with a preview of the schedule, started, paused,
 * cancelled, and how far they are.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
import { AVSCAN, RUNS, get, post, put, remove, segment } from "/api.js";
import { attempt, badge, button, bytes, change, confirmed, duration, el, facts,
	 number,
	 renew, table, tell, time, yesNo } from "/dom.js";
import { objectForm } from "/object_form.js";

const PATH = `${AVSCAN}/jobs`;
const UNDER_WAY = ["running", "paused_user", "paused_system", "paused_policy",
		   "paused_priority"];

/* Says what is typed into the schedule of the form that is open. */
function preview() {
	const input = document.getElementById("field-schedule");
	const said = el("div.help", { "aria-live": "polite" });
	let asked = 0;

	if (input === null) {
		return;
	}
	input.after(said);
	const look = async () => {
		const mine = ++asked;
		let text = "";

		if (input.value.trim() !== "") {
			try {
				const s = await post(`${AVSCAN}/schedules`,
						     { schedule: input.value });
				text = `Next: ${s.next_runs.map(time).join(
					" · ")}`;
			} catch (error) {
				text = error.message;
			}
		}
		if (mine === asked) {
			said.textContent = text;
		}
	};
	input.addEventListener("input", look);
	look();
}

async function form(title, job, save) {
	await objectForm(title, "job", job, save);
	preview();
}

function progress(run) {
	if (run.time_left === null || run.state !== "running") {
		return "";
	}
	const done = run.files;
	const all = done + run.time_left * run.files_per_second;

	return [el("progress", { max: all || 1, value: done,
				 "aria-label": `run ${run.id}` }),
		" ", duration(run.time_left), " left"];
}

const COUNTS = [
	["Directories", "directories"], ["Files seen", "files"],
	["That had a current verdict", "current"],
	["Of those infected", "infected"], ["Left out by rules", "excluded"],
	["Scanned", "scanned"], ["Clean", "clean"], ["Found infected", "found"],
	["Too large to scan, or tiered", "skipped"],
	["Unscannable", "unscannable"], ["Without a verdict", "unanswered"],
	["Not readable", "failed"], ["Gone meanwhile", "gone"],
	["Other mounts, not entered", "mounts"],
];

function showRun(run) {
	tell(`Run ${run.id}`, facts([
		["Job", run.policy || "by hand"], ["State", badge(run.state)],
		["Paths", run.paths.join(", ")],
		["Started", time(run.start_time)],
		["Ended", time(run.end_time)],
		["What was wrong", run.error || "nothing"],
		...COUNTS.map(([name, field]) => [name, number(run[field])]),
		["Bytes scanned", bytes(run.bytes_scanned)]]),
	     run.infected_files.length === 0 ? [] : [
		el("h2", "Found infected"), table([
			{ head: "File", path: true, cell: f => f.file },
			{ head: "Threat", cell: f => f.threat },
		], run.infected_files)]);
}

export async function show(main) {
	const jobs = el("div.sheet");
	const runs = el("div.sheet");

	async function fill() {
		const [objects, schedules, list] = await Promise.all([
			get(PATH), get(`${AVSCAN}/schedules`), get(RUNS)]);
		const next = new Map(schedules.schedules.map(
			s => [s.job_name, s]));

		renew(jobs, table([
			{ head: "Job", cell: j => j.job_name },
			{ head: "Schedule", cell: j => j.schedule ||
				el("span.faint", "by hand") },
			{ head: "Enabled", cell: j => yesNo(j.enabled) },
			{ head: "Next run", time: true, cell: j => time(
				next.get(j.job_name)?.next_run) },
			{ head: "Impact", cell: j => j.impact },
			{ head: "", actions: true, cell: j => [
				change("Start", () => start(j), "main"), " ",
				change("Edit", () => edit(j)), " ",
				change("Remove", () => drop(j), "danger")] },
		], objects.jobs, "No job yet."));
		renew(runs, table([
			{ head: "Run", cell: r => button(String(r.id),
							 () => showRun(r)) },
			{ head: "Job", cell: r => r.policy ||
				r.paths.join(", ") },
			{ head: "State", cell: r => badge(r.state) },
			{ head: "Started", time: true, cell: r => time(r.start_time) },
			{ head: "Files", number: true,
			  cell: r => number(r.files) },
			{ head: "Scanned", number: true,
			  cell: r => number(r.scanned) },
			{ head: "Infected", number: true,
			  cell: r => number(r.found + r.infected) },
			{ head: "Progress", cell: progress },
			{ head: "", actions: true, cell: r => verbs(r) },
		], list.jobs, "Nothing has run yet."));
	}

	function verbs(run) {
		if (!UNDER_WAY.includes(run.state)) {
			return "";
		}
		const set = (state, said) => async () => {
			if (await attempt(() => put(`${RUNS}/${run.id}`,
						    { state }), said)) {
				await fill();
			}
		};

		return [run.state === "paused_user" ?
			change("Resume", set("run", "It goes on.")) :
			change("Pause", set("pause", "It is paused.")), " ",
			change("Cancel", set("cancel", "It is cancelled."),
			       "danger")];
	}

	async function start(job) {
		if (await attempt(() => post(RUNS, { type: "AVScan",
			avscan_params: { policy: job.job_name } }),
			`${job.job_name} runs.`)) {
			await fill();
		}
	}

	const edit = j => form(`Job ${j.job_name}`, j, async values => {
		await put(`${PATH}/${segment(j.id)}`, values);
		await fill();
	});

	async function drop(j) {
		if (await confirmed(`Remove ${j.job_name}?`,
				    "Reports of its runs stay.", "Remove") &&
		    await attempt(() => remove(`${PATH}/${segment(j.id)}`),
				  `${j.job_name} is removed.`)) {
			await fill();
		}
	}

	main.append(el("p.faint", "A job scans what has no current verdict, " +
		"when its schedule says or when you start it; scans that " +
		"clients wait for go first."), el("div.row", change("New job", () => form("New job", null,
		async values => {
			await post(PATH, values);
			await fill();
		}), "main")), jobs, el("h2", "Runs"), runs);
	await fill();
	return fill;
}
