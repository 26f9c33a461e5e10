/*
 * cavad's REST API, as a browser uses it: a session by cookies, its secret
 * repeated in X-CSRF-Token, errors as exceptions with the field they name.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

export const AVSCAN = "/platform/11/avscan";
export const ANTIVIRUS = "/platform/11/antivirus";
export const THREATS = "/platform/3/antivirus/reports/threats";
export const QUARANTINE = "/platform/3/antivirus/quarantine";
export const RUNS = "/platform/10/job/jobs";
const SESSION = "/session/1/session";

export class ApiError extends Error {
	constructor(status, message, field) {
		super(message);
		this.status = status;
		this.field = field;
	}
}

function cookie(name) {
	for (const part of document.cookie.split("; ")) {
		if (part.startsWith(name + "=")) {
			return part.slice(name.length + 1);
		}
	}
	return "";
}

async function call(method, path, body) {
	const headers = { "Accept": "application/json",
			  "X-Requested-With": "fetch" };
	const options = { method, headers, credentials: "same-origin" };

	if (method !== "GET") {
		headers["X-CSRF-Token"] = cookie("isicsrf");
	}
	if (body !== undefined) {
		headers["Content-Type"] = "application/json";
		options.body = JSON.stringify(body);
	}
	let reply;
	try {
		reply = await fetch(path, options);
	} catch {
		throw new ApiError(0, "cavad does not answer.");
	}
	const text = await reply.text();
	let json = null;
	try {
		json = text === "" ? null : JSON.parse(text);
	} catch {
		json = null;
	}
	if (!reply.ok) {
		const error = json?.errors?.[0];
		throw new ApiError(reply.status, error?.message ??
				   `cavad answered ${reply.status}.`,
				   error?.field);
	}
	return json;
}

export const get = path => call("GET", path);
export const post = (path, body) => call("POST", path, body);
export const put = (path, body) => call("PUT", path, body);
export const remove = path => call("DELETE", path);

/* One name in a path, slashes and all. */
export const segment = name => encodeURIComponent(name);

/* A path of the file system behind a route. */
export const filePath = path => path.split("/").map(encodeURIComponent)
	.join("/").replace(/^\//, "");

export const query = values => {
	const q = new URLSearchParams();

	for (const [name, value] of Object.entries(values)) {
		if (value !== undefined && value !== null && value !== "") {
			q.set(name, value);
		}
	}
	return q.size === 0 ? "" : "?" + q.toString();
};

export const session = {
	view: () => get(SESSION),
	open: (username, password) => post(SESSION, {
		username, password, services: ["platform"] }),
	close: () => remove(SESSION),
};
