//! Page of every key of the configuration files.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use super::fields::{held, unit};
use super::types::{Field, Shape, Type, Types};

const HEAD: &str = "# Configuration\n\n\
<!-- Written by `cargo xtask reference` from the types that read the files. -->\n\n\
Configurations are TOML. A key that is not listed here is an error. Paths are relative to the file that names them.\n\
`--set KEY=VALUE` changes one setting, as `--set training.epochs=10`.\n";

/// Files, with the type that reads each.
const FILES: [(&str, &str, &str); 2] = [
    ("Training and distillation", "Config", "For `potstill train` and `potstill distill`."),
    ("Studies", "Study", "For `potstill study`."),
];

/// The page with a section for each table of the files.
pub fn page(types: &Types) -> Result<String> {
    let mut page = Page { types, text: HEAD.to_owned(), seen: BTreeSet::new() };
    for (title, name, about) in FILES {
        let ty = types.types.get(name).with_context(|| format!("no type {name} is read from files"))?;
        page.text += &format!("\n## {title}\n\n{about}\n");
        page.table(name, ty, "");
    }
    Ok(page.text)
}

struct Page<'a> {
    types: &'a Types,
    text: String,
    /// Types that have a section.
    seen: BTreeSet<String>,
}

/// A table of a file that a field holds: the name of its type, its path, whether it is one of a list.
type Place = (String, String, bool);

impl Page<'_> {
    /// Rows of a struct, then sections of the tables in it.
    fn table(&mut self, name: &str, ty: &Type, path: &str) {
        match &ty.shape {
            Shape::Struct(fields) => {
                self.rows(fields, Some((name, ty)));
                self.sections(fields, path);
            }
            Shape::Transparent(inner) => self.inner_table(&held(inner).0, path),
            Shape::Enum(_) => self.variants(ty, path),
        }
    }

    fn inner_table(&mut self, name: &str, path: &str) {
        if let Some(ty) = self.types.types.get(name) {
            self.table(name, ty, path);
        }
    }

    fn rows(&mut self, fields: &[Field], of: Option<(&str, &Type)>) {
        if fields.is_empty() {
            return;
        }
        self.text += "\n| key | type | unit | default | |\n|---|---|---|---|---|\n";
        for field in fields {
            let words = self.types.words(&field.ty);
            let default = self.types.default_value(field, of).unwrap_or_else(|| "must be given".to_owned());
            let (unit, doc) = (unit(&words, &field.doc), cell(&field.doc));
            self.text += &format!("| `{}` | {} | {unit} | {} | {doc} |\n", field.name, cell(&words), cell(&default));
        }
    }

    fn sections(&mut self, fields: &[Field], path: &str) {
        let place = |field: &Field| -> Place {
            let (name, is_list) = held(&field.ty);
            let dot = if path.is_empty() { "" } else { "." };
            (name, format!("{path}{dot}{}", field.name), is_list)
        };
        fields.iter().map(place).for_each(|place| self.section(&place));
    }

    /// Section of a table, once for each type.
    fn section(&mut self, (name, path, is_list): &Place) {
        let Some(ty) = self.types.types.get(name).filter(|ty| self.is_table(ty)) else { return };
        if !self.seen.insert(name.clone()) {
            return;
        }
        let title = if *is_list { format!("[[{path}]]") } else { format!("[{path}]") };
        self.text += &format!("\n### `{title}`\n\n{}\n", unlinked(&ty.doc));
        self.table(name, ty, path);
    }

    fn is_table(&self, ty: &Type) -> bool {
        match &ty.shape {
            Shape::Struct(_) => ty.serde.from.is_none(),
            Shape::Enum(variants) => {
                ty.serde.tag.is_some()
                    || variants.iter().any(|variant| !variant.fields.is_empty() || self.holds_table(variant))
            }
            Shape::Transparent(inner) => self.types.types.get(&held(inner).0).is_some_and(|ty| self.is_table(ty)),
        }
    }

    fn holds_table(&self, variant: &super::types::Variant) -> bool {
        let inner = variant.inner.as_ref().map(|inner| held(inner).0);
        inner.and_then(|name| self.types.types.get(&name)).is_some_and(|ty| matches!(ty.shape, Shape::Struct(_)))
    }

    fn variants(&mut self, ty: &Type, path: &str) {
        let Shape::Enum(variants) = &ty.shape else { return };
        for variant in variants.iter().filter(|variant| !variant.serde.skip) {
            let aliases: String = variant.serde.aliases.iter().map(|alias| format!(", short `{alias}`")).collect();
            let title = match &ty.serde.tag {
                Some(tag) => format!("`{tag} = \"{}\"`{aliases}", variant.name),
                None => format!("`{}`{aliases}", variant.name),
            };
            let inner = variant.inner.as_ref().map(|inner| held(inner).0);
            let behind = inner.as_ref().and_then(|name| self.types.types.get(name));
            let doc = if variant.doc.is_empty() { behind.map_or("", |ty| &ty.doc) } else { &variant.doc };
            self.text += &format!("\n**{title}**: {}\n", unlinked(doc));
            self.rows(&variant.fields, None);
            self.sections(&variant.fields, path);
            if let (Some(name), Some(_)) = (inner, behind) {
                self.inner_table(&name, path);
            }
        }
    }
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    unlinked(text).replace('|', "\\|")
}

/// Text without the links of Rust's documentation.
fn unlinked(text: &str) -> String {
    let text = text.replace("[`", "`").replace("`]", "`");
    // What stands behind a link in parentheses is a path of the code.
    let mut parts = text.split("`(");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| match part.split_once(')') {
        Some((target, rest)) if target.contains("::") => format!("{out}`{rest}"),
        _ => format!("{out}`({part}"),
    })
}
