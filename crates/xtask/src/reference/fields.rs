//! Types and units of fields in words.

use syn::{GenericArgument, PathArguments};

use super::types::{Shape, Type, Types};

/// Units that documentation names, and how the page writes them; the first that is found counts.
const UNITS: [(&str, &str); 14] = [
    ("eV/Å", "eV/Å"),
    ("in Å", "Å"),
    ("in eV", "eV"),
    ("in meV", "meV"),
    ("in fs", "fs"),
    ("in K", "K"),
    ("GiB", "GiB"),
    ("Minutes", "min"),
    ("minutes", "min"),
    ("Epochs", "epochs"),
    ("Passes over", "epochs"),
    ("Steps", "steps"),
    ("Step at", "steps"),
    ("Validations", "validations"),
];

/// Whether a type is `Option`.
pub fn is_option(ty: &syn::Type) -> bool {
    last_name(ty) == "Option"
}

/// Last name of a path.
pub fn last_name(ty: &syn::Type) -> String {
    match ty {
        syn::Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default(),
        _ => String::new(),
    }
}

/// The last generic argument of a type.
pub fn inner(ty: &syn::Type) -> Option<&syn::Type> {
    let syn::Type::Path(path) = ty else { return None };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else { return None };
    arguments.args.iter().rev().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// The type with a name in a file that a field holds, behind options and lists; whether it is a list.
pub fn held(ty: &syn::Type) -> (String, bool) {
    match (last_name(ty).as_str(), inner(ty)) {
        ("Option" | "Box", Some(inner)) => held(inner),
        ("Vec", Some(inner)) => (held(inner).0, true),
        (name, _) => (name.to_owned(), false),
    }
}

impl Types {
    /// A type in words.
    pub fn words(&self, ty: &syn::Type) -> String {
        let name = last_name(ty);
        match (name.as_str(), inner(ty)) {
            ("Option" | "Box", Some(inner)) => self.words(inner),
            ("Vec", Some(inner)) => format!("list: {}", self.words(inner)),
            ("BTreeMap" | "HashMap", Some(inner)) => format!("table: {}", self.words(inner)),
            ("f64" | "f32", _) => "number".to_owned(),
            ("u64" | "usize" | "u32" | "i64" | "u8" | "i32", _) => "whole number".to_owned(),
            ("bool", _) => "`true` or `false`".to_owned(),
            ("String", _) => "text".to_owned(),
            ("PathBuf", _) => "path".to_owned(),
            _ => match (self.types.get(&name), ty) {
                (Some(found), _) => self.words_of(found),
                (None, syn::Type::Array(array)) => format!("list: {}", self.words(&array.elem)),
                (None, _) => "see the description".to_owned(),
            },
        }
    }

    fn words_of(&self, ty: &Type) -> String {
        if let Some(from) = ty.serde.from.as_ref().and_then(|from| syn::parse_str::<syn::Type>(from).ok()) {
            return self.words(&from);
        }
        match &ty.shape {
            Shape::Struct(_) => "table".to_owned(),
            Shape::Transparent(inner) => self.words(inner),
            Shape::Enum(_) if ty.serde.tag.is_some() => "table".to_owned(),
            Shape::Enum(variants) => {
                let one = |variant: &super::types::Variant| match (&variant.inner, variant.fields.is_empty()) {
                    (Some(inner), _) if ty.serde.untagged || variant.serde.untagged => self.words(inner),
                    (None, true) => format!("`\"{}\"`", variant.name),
                    _ => format!("`{{ {} = … }}`", variant.name),
                };
                variants.iter().filter(|variant| !variant.serde.skip).map(one).collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// Unit of a number, as its documentation says it.
pub fn unit(words: &str, doc: &str) -> &'static str {
    if !words.contains("number") {
        return "";
    }
    UNITS.iter().find(|(phrase, _)| doc.contains(phrase)).map_or("", |(_, unit)| unit)
}
