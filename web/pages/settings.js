/*
 * Settings, zones and the accounts that may fetch files.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
import { AVSCAN, get, post, put, remove, segment } from "/api.js";
import { attempt, change, confirmed, el, formDialog, table, textField,
	 time, withUnit } from "/dom.js";
import { objectForm, schemaOf } from "/object_form.js";

const SETTINGS = `${AVSCAN}/settings`;
const ACCOUNTS = `${AVSCAN}/avvendor`;

const shown = (value, unit) =>
	typeof value === "boolean" ? (value ? "yes" : "no") :
	Array.isArray(value) ? value.join(", ") :
	withUnit(value, unit);
const ORIGINS = { file: "cavad.conf", database: "changed here" };

export async function show(main) {
	const list = el("div.sheet");
	const accounts = el("div.sheet");
	const schema = await schemaOf("settings");

	async function fill() {
		const [settings, avvendor] = await Promise.all([
			get(SETTINGS), get(ACCOUNTS)]);
		const values = settings.settings;

		list.replaceChildren(el("div.row", change("Change", () =>
			objectForm("Settings", "settings", values,
				async changed => {
					await put(SETTINGS, changed);
					await fill();
				}), "main")), table([
			{ head: "Setting", cell: f => f.name },
			{ head: "Value", path: true, cell: f =>
				shown(values[f.name], f.unit) },
			{ head: "From", cell: f => el("span.faint", ORIGINS[
				values.origin?.[f.name]] ?? "default") },
			{ head: "What it does", cell: f => el("span.faint",
				f.help) },
		], schema.fields));
		accounts.replaceChildren(el("div.row", change("Add an account",
			add, "main")), table([
			{ head: "Account", cell: a => a.account },
			{ head: "Since", time: true, cell: a => time(a.added) },
			{ head: "", actions: true, cell: a => change("Remove",
				() => drop(a), "danger") },
		], avvendor.avvendor, "No account may fetch files: servers " +
			"that fetch cannot scan."));
	}

	function add() {
		const name = textField("account", "Account", "",
			"DOMAIN\\name, the name of a local account, or a SID");

		formDialog("Let an account fetch files to scan", [name], "Add",
			   async () => {
			await post(ACCOUNTS, { account: name.value() });
			await fill();
		});
	}

	async function drop(a) {
		if (await confirmed(`Remove ${a.account}?`,
				    "Servers that log in with it can scan " +
				    "nothing any more.", "Remove") &&
		    await attempt(() => remove(`${ACCOUNTS}/` +
					       segment(a.account)),
				  "It is removed.")) {
			await fill();
		}
	}

	main.append(list, el("h2", "Accounts of antivirus servers (AVVendor)"),
		    accounts);
	await fill();
	return null;
}
