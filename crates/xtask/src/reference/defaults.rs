//! Default values as a configuration file writes them.

use quote::ToTokens;
use syn::Expr;

use super::fields::{is_option, last_name};
use super::types::{Field, Shape, Type, Types, renamed};

impl Types {
    /// Default of a field, `None` where the field must be given. `of` is the type with the field, where it has a name.
    pub fn default_value(&self, field: &Field, of: Option<(&str, &Type)>) -> Option<String> {
        if let Some(function) = &field.serde.default_function {
            let value = self.functions.get(function.rsplit("::").next().unwrap_or(function));
            return Some(value.map_or_else(|| function.clone(), |value| self.written(value, &field.ty)));
        }
        let from_type = of.filter(|(_, ty)| ty.serde.default);
        if let Some((name, _)) = from_type {
            let value = self.defaults.get(name).and_then(|value| field_of(value, &field.name));
            return Some(value.map_or_else(|| self.default_of_type(&field.ty), |value| self.written(value, &field.ty)));
        }
        (field.serde.default || is_option(&field.ty)).then(|| self.default_of_type(&field.ty))
    }

    /// Value of `Default::default` for a type.
    fn default_of_type(&self, ty: &syn::Type) -> String {
        if is_option(ty) {
            return "none".to_owned();
        }
        let name = last_name(ty);
        match name.as_str() {
            "bool" => "`false`".to_owned(),
            "f64" | "f32" | "u64" | "usize" | "u32" | "i64" => "`0`".to_owned(),
            "Vec" => "`[]`".to_owned(),
            _ => match self.types.get(&name).map(|ty| &ty.shape) {
                Some(Shape::Enum(variants)) => {
                    let by_attribute = variants.iter().find(|variant| variant.is_default);
                    let ident = self.defaults.get(&name).and_then(variant_of);
                    let by_code = || variants.iter().find(|variant| Some(&variant.ident) == ident.as_ref());
                    let variant = by_attribute.or_else(by_code);
                    variant.map_or_else(String::new, |variant| format!("`\"{}\"`", variant.name))
                }
                _ => "its own defaults".to_owned(),
            },
        }
    }

    /// An expression as a file writes its value.
    fn written(&self, value: &Expr, ty: &syn::Type) -> String {
        match value {
            Expr::Lit(literal) => format!("`{}`", literal.to_token_stream().to_string().replace('_', "")),
            Expr::Unary(unary) => format!("`{}`", unary.to_token_stream().to_string().replace(' ', "")),
            Expr::Call(call) => match call.func.to_token_stream().to_string().replace(' ', "") {
                name if name.ends_with("::default") => self.default_of_type(ty),
                name if name.ends_with("Vec::new") => "`[]`".to_owned(),
                name if name == "Some" => call.args.first().map_or_else(String::new, |value| self.written(value, ty)),
                _ => plain(value),
            },
            Expr::Macro(list) => format!("`[{}]`", list.mac.tokens),
            Expr::Path(path) => match path.path.segments.last().map(|segment| segment.ident.to_string()) {
                Some(name) if name == "None" => "none".to_owned(),
                Some(name) if self.constants.contains_key(&name) => self.written(&self.constants[&name], ty),
                // A type that reads words itself: its variants are those words.
                Some(name) if path.path.segments.len() > 1 => self
                    .variant_name(value, ty)
                    .unwrap_or_else(|| format!("`\"{}\"`", renamed(&name, Some("snake_case")))),
                _ => self.variant_name(value, ty).unwrap_or_else(|| plain(value)),
            },
            _ => self.variant_name(value, ty).unwrap_or_else(|| plain(value)),
        }
    }

    /// Name of a variant in a file.
    fn variant_name(&self, value: &Expr, ty: &syn::Type) -> Option<String> {
        let ident = variant_of(value)?;
        let Shape::Enum(variants) = &self.types.get(&last_name(ty))?.shape else { return None };
        let variant = variants.iter().find(|variant| variant.ident == ident)?;
        Some(format!("`\"{}\"`", variant.name))
    }
}

fn plain(value: &Expr) -> String {
    format!("`{}`", value.to_token_stream().to_string().replace(" :: ", "::").replace(" . ", "."))
}

/// Expression of a field in a struct's literal.
fn field_of<'a>(value: &'a Expr, name: &str) -> Option<&'a Expr> {
    let Expr::Struct(literal) = value else { return None };
    let is_named = |field: &&syn::FieldValue| matches!(&field.member, syn::Member::Named(ident) if ident == name);
    literal.fields.iter().find(is_named).map(|field| &field.expr)
}

/// Variant that an expression makes.
fn variant_of(value: &Expr) -> Option<String> {
    let path = match value {
        Expr::Path(path) => &path.path,
        Expr::Struct(literal) => &literal.path,
        Expr::Call(call) => match &*call.func {
            Expr::Path(path) => &path.path,
            _ => return None,
        },
        _ => return None,
    };
    path.segments.last().map(|segment| segment.ident.to_string())
}
