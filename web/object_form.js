/*
 * A form for an object of cavad's, from the schema that cavad serves: one row
 * of object.def is one field here.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
import { AVSCAN, get } from "/api.js";
import { el, formDialog } from "/dom.js";

let schema = null;

export async function schemaOf(object) {
	schema ??= (await get(`${AVSCAN}/schema`)).schema;
	return schema.find(s => s.object === object);
}

function input(field, value) {
	const text = Array.isArray(value) ? value.join(", ") : value ?? "";

	if (field.type === "boolean") {
		const node = el("input", { type: "checkbox" });

		node.checked = value === true;
		return { node, value: () => node.checked };
	}
	if (field.choices?.length > 0) {
		const node = el("select", field.choices.map(c => el(
			"option", { value: c, selected: c === value }, c)));

		return { node, value: () => node.value };
	}
	if (field.type === "integer") {
		const node = el("input", { type: "number", min: field.minimum,
					   value: text });

		return { node, value: () => node.value === "" ? null :
			 Number(node.value) };
	}
	const node = el("input", { type: "text", value: text,
				   autocomplete: "off" });

	if (field.type !== "list") {
		return { node, value: () => node.value };
	}
	return { node, value: () => node.value.split(",").map(s => s.trim())
		 .filter(s => s !== "") };
}

const same = (a, b) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

function form_field(field, object, name_field) {
	const value = object === null ? field.default : object[field.name];
	const control = input(field, value);
	const origin = object?.origin?.[field.name];
	const unit = field.unit ? ` (${field.unit})` : "";
	const where = origin === "file" ? " Set in cavad.conf." :
		      origin === "database" ? " Changed here." : "";

	return { name: field.name, label: field.name + unit,
		 help: (field.help ?? "") + "." + where,
		 node: control.node, value: control.value, before: value,
		 required: field.name === name_field };
}

/*
 * Shows it; object null = a new one. save(values) gets what has changed, and
 * what a new one must have.
 */
export async function objectForm(title, kind, object, save) {
	const known = await schemaOf(kind);
	const fields = known.fields.filter(f => !f.read_only &&
		f.name !== "new_name" && f.name !== "id" &&
		(object === null || f.name !== known.name_field));
	const controls = fields.map(f => form_field(f, object,
						    known.name_field));

	if (object === null && known.name_field &&
	    !controls.some(c => c.name === known.name_field)) {
		controls.unshift(form_field({ name: known.name_field,
			type: "string", help: "short unique name" }, null,
			known.name_field));
	}
	formDialog(title, controls, object === null ? "Create" : "Save",
		   async () => {
		const values = {};

		for (const c of controls) {
			const now = c.value();

			if (c.required || !same(now, c.before)) {
				values[c.name] = now;
			}
		}
		await save(values);
	});
}
