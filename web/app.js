/*
 * The administrator's page: who is logged in, which page is shown. A page is
 * a module with show(main, rest), called anew when the address changes, and
 * may return a function that is called each five seconds while it is shown.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
import { AVSCAN, get, session } from "/api.js";
import { attempt, badge, button, closeDialog, el, notice } from "/dom.js";
import * as events from "/pages/events.js";
import * as filters from "/pages/filters.js";
import * as jobs from "/pages/jobs.js";
import * as overview from "/pages/overview.js";
import * as reports from "/pages/reports.js";
import * as selftest from "/pages/selftest.js";
import * as servers from "/pages/servers.js";
import * as settings from "/pages/settings.js";
import * as threats from "/pages/threats.js";

const PAGES = {
	overview: ["Overview", overview], servers: ["Servers", servers],
	filters: ["Filters", filters], jobs: ["Jobs", jobs],
	reports: ["Reports", reports], threats: ["Threats", threats],
	events: ["Events", events], settings: ["Settings", settings],
	selftest: ["Self-test", selftest],
};
const REFRESH = 5000;

const main = document.getElementById("main");
const nav = document.getElementById("nav");
const logout = document.getElementById("logout");
const who = document.getElementById("who");
let refresh = null;
let shown = 0;

async function showState() {
	const node = (await get(`${AVSCAN}/nodes/local/status`)).nodes[0].status;

	document.getElementById("product").textContent =
		`cavad ${node.cavad_version}`;
	document.getElementById("state").replaceWith(Object.assign(
		badge(node.system_status), { id: "state", role: "status" }));
}

function failed(error) {
	if (error.status === 401) {
		showLogin();
		return;
	}
	main.replaceChildren(el("div.sheet", el("p", error.message),
				button("Try again", showPage)));
}

async function showPage() {
	const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
	const page = PAGES[name] === undefined ? "overview" : name;
	const [title, module] = PAGES[page];
	const mine = ++shown;

	closeDialog();
	document.title = `${title} - cavad`;
	for (const link of nav.children) {
		if (link.dataset.page === page) {
			link.setAttribute("aria-current", "page");
		} else {
			link.removeAttribute("aria-current");
		}
	}
	refresh = null;
	const content = el("div", el("h1", title));
	try {
		const next = await module.show(content,
			rest.map(decodeURIComponent));

		if (mine !== shown) {
			return;
		}
		main.replaceChildren(content);
		refresh = next ?? null;
	} catch (error) {
		if (mine === shown) {
			failed(error);
		}
	}
}

async function tick() {
	if (!nav.hidden && !document.hidden) {
		try {
			await showState();
			await refresh?.();
		} catch (error) {
			if (error.status === 401) {
				showLogin();
			} else {
				notice(error.message, "bad");
			}
		}
	}
	setTimeout(tick, REFRESH);
}

function showLogin() {
	const name = el("input", { id: "login-name", autocomplete: "username",
				   required: true });
	const word = el("input", { id: "login-word", type: "password",
				   autocomplete: "current-password",
				   required: true });
	const said = el("p.error", { role: "alert" });

	shown++;
	refresh = null;
	nav.hidden = logout.hidden = true;
	who.textContent = "";
	document.title = "Log in - cavad";
	main.replaceChildren(el("form.sheet.login", { onsubmit: async event => {
		event.preventDefault();
		said.textContent = "";
		try {
			begin(await session.open(name.value, word.value));
		} catch (error) {
			said.textContent = error.message;
			word.value = "";
			word.focus();
		}
	} }, el("h1", "Log in"),
	el("div.field", el("label", { "for": "login-name" }, "Name"), name),
	el("div.field", el("label", { "for": "login-word" }, "Password"), word),
	said, el("button.main", { type: "submit" }, "Log in")));
	name.focus();
}

function begin(user) {
	who.textContent = user.username +
		(user.read_only ? " (reads only)" : "");
	document.body.classList.toggle("read-only", user.read_only);
	nav.hidden = logout.hidden = false;
	showState().catch(failed);
	showPage();
}

logout.addEventListener("click", async () => {
	if (await attempt(session.close)) {
		showLogin();
	}
});
nav.replaceChildren(...Object.entries(PAGES).map(([page, [title]]) => el(
	"a", { href: `#/${page}`, "data-page": page }, title)));
addEventListener("hashchange", () => {
	if (!nav.hidden) {
		showPage();
		main.focus({ preventScroll: true });
	}
});
session.view().then(begin, showLogin);
tick();
