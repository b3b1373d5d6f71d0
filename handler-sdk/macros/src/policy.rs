//! The arguments of `#[room(…)]`: the kind's name and its policy.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, ExprLit, Ident, Lit, LitStr, Result, Token};

use crate::errors::Errors;
use crate::names;

/// How a key's value is written.
enum Form {
    /// A whole number between these.
    Count(u64, u64),
    /// A number of bytes, or `"64KiB"`.
    Bytes,
    /// `"500ms"`, `"30s"`, `"2m"` or `"1h"`.
    Millis,
    /// `["map", "mode"]`.
    Names,
    /// One of a few words, each with the value that it stands for.
    Word(&'static [(&'static str, &'static str, &'static str)]),
    /// No value: being there is enough.
    Flag(&'static str, &'static str),
}

const ANY: Form = Form::Count(0, u32::MAX as u64);

const ADMISSION: Form =
    Form::Word(&[("open", "Admission", "Open"), ("ticket", "Admission", "Ticket"), ("invite", "Admission", "Invite")]);

const SAME_ACCOUNT: Form = Form::Word(&[
    ("replace", "SameAccount", "Replace"),
    ("refuse", "SameAccount", "Refuse"),
    ("allow", "SameAccount", "Allow"),
]);

const ON_DIVERGENCE: Form = Form::Word(&[("resync", "OnDivergence", "Resync"), ("stop", "OnDivergence", "Stop")]);

/// Every key but `kind`, with the field of `Policy` that it sets.
const KEYS: &[(&str, &str, Form)] = &[
    ("max_players", "max_players", Form::Count(1, u32::MAX as u64)),
    ("max_spectators", "max_spectators", ANY),
    ("tick_hz", "tick_hz", Form::Count(0, 1000)),
    ("tick_when", "tick_when", Form::Word(&[("occupied", "TickWhen", "Occupied"), ("always", "TickWhen", "Always")])),
    ("empty_ttl", "empty_ttl_ms", Form::Millis),
    ("resume", "resume_ms", Form::Millis),
    ("join", "join", ADMISSION),
    ("watch", "watch", ADMISSION),
    ("same_account", "same_account", SAME_ACCOUNT),
    ("queue_len", "queue_len", ANY),
    ("queue_bytes", "queue_bytes", Form::Bytes),
    ("member_queue_len", "member_queue_len", ANY),
    ("max_output_bytes", "max_output_bytes", Form::Bytes),
    ("max_outputs_bytes", "max_outputs_bytes", Form::Bytes),
    ("max_view_bytes", "max_view_bytes", Form::Bytes),
    ("match_by", "match_by", Form::Names),
    ("client_topics", "client_topics", Form::Names),
    ("latest_topics", "latest_topics", Form::Names),
    ("max_latest", "max_latest", ANY),
    ("handled", "handled", Form::Flag("Handled", "Told")),
    ("on_panic", "on_panic", Form::Word(&[("restore", "OnPanic", "Restore"), ("close", "OnPanic", "Close")])),
    ("on_divergence", "on_divergence", ON_DIVERGENCE),
    ("snapshot_every", "snapshot_every", Form::Count(1, u32::MAX as u64)),
    ("snapshot_bytes", "snapshot_bytes", Form::Bytes),
    ("snapshot_age", "snapshot_age_ms", Form::Millis),
    ("max_snapshot_bytes", "max_snapshot_bytes", Form::Bytes),
    ("sleep_after", "sleep_after_ms", Form::Millis),
    ("close_grace", "close_grace_ms", Form::Millis),
];

/// What `#[room(…)]` says.
#[derive(Default)]
pub(crate) struct Arguments {
    pub(crate) kind: String,
    /// `field: value` of `Policy`.
    pub(crate) fields: Vec<TokenStream>,
}

impl Arguments {
    pub(crate) fn parse(tokens: TokenStream) -> Result<Self> {
        let given = syn::parse::Parser::parse2(Punctuated::<Argument, Token![,]>::parse_terminated, tokens)?;
        let mut errors = Errors::default();
        let mut kind = None;
        let mut fields = Vec::new();
        for (i, argument) in given.iter().enumerate() {
            if given.iter().take(i).any(|earlier| earlier.key == argument.key) {
                errors.push(Error::new(argument.key.span(), format!("`{}` is given twice", argument.key)));
            } else if argument.key == "kind" {
                kind = Some(errors.keep(argument.kind()));
            } else {
                fields.extend(errors.keep(argument.field()));
            }
        }
        if kind.is_none() {
            let text = "a room needs the name of its kind: `#[room(kind = \"arena\")]`";
            errors.push(Error::new(Span::call_site(), text));
        }
        errors.into_result(Self { kind: kind.flatten().unwrap_or_default(), fields })
    }
}

/// `key = value`, or `key`.
struct Argument {
    key: Ident,
    value: Option<Expr>,
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let key =
            input.parse().map_err(|error| Error::new(error.span(), "expected `key = value`: `kind = \"arena\"`"))?;
        let value = input.parse::<Option<Token![=]>>()?.map(|_| input.parse().map(bare)).transpose()?;
        Ok(Self { key, value })
    }
}

/// Without the invisible parentheses around what came through a `macro_rules` variable.
fn bare(value: Expr) -> Expr {
    match value {
        Expr::Group(inner) => bare(*inner.expr),
        other => other,
    }
}

impl Argument {
    fn kind(&self) -> Result<String> {
        let name = self.text().ok_or_else(|| self.wrong("the name of the kind in quotes: `\"arena\"`"))?;
        names::check(&name.value(), "the name of a kind", name.span())?;
        Ok(name.value())
    }

    fn field(&self) -> Result<TokenStream> {
        let Some((_, field, form)) = KEYS.iter().find(|(key, ..)| self.key == key) else {
            return Err(self.unknown());
        };
        let field = Ident::new(field, self.key.span().resolved_at(Span::call_site()));
        let value = match form {
            Form::Count(least, most) => self.count(*least, *most)?,
            Form::Bytes => self.bytes()?,
            Form::Millis => self.millis()?,
            Form::Names => self.names()?,
            Form::Word(words) => self.word(words)?,
            Form::Flag(ty, variant) => self.flag(ty, variant)?,
        };
        Ok(quote!(#field: #value))
    }

    fn unknown(&self) -> Error {
        let mut known = vec!["kind"];
        known.extend(KEYS.iter().map(|(key, ..)| *key));
        let hint = names::did_you_mean(&self.key.to_string(), &known);
        Error::new(self.key.span(), format!("a room has no `{}`{hint} (there are {})", self.key, known.join(", ")))
    }

    /// A literal is checked here; a constant is checked when the user's crate is compiled.
    fn count(&self, least: u64, most: u64) -> Result<TokenStream> {
        let range =
            if most < u64::from(u32::MAX) { format!("from {least} to {most}") } else { format!("from {least}") };
        let expected = || self.wrong(&format!("a whole number {range}"));
        match &self.value {
            Some(Expr::Lit(ExprLit { lit: Lit::Int(number), .. })) => match number.base10_parse::<u64>() {
                Ok(value) if (least..=most).contains(&value) => Ok(quote!(#number)),
                _ => Err(expected()),
            },
            Some(Expr::Path(path)) => {
                let text = format!("`{}` takes a whole number {range}", self.key);
                let (least, most) = (least as u32, most as u32);
                Ok(quote!({ const _: () = ::parlor::rt::in_range(#path, #least, #most, #text); #path }))
            }
            _ => Err(expected()),
        }
    }

    fn bytes(&self) -> Result<TokenStream> {
        const UNITS: &[(&str, u64)] = &[("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];
        let expected = || self.wrong("a number of bytes, such as 4096 or \"64KiB\"");
        match &self.value {
            Some(Expr::Lit(ExprLit { lit: Lit::Int(number), .. })) => {
                let value: u64 = number.base10_parse().map_err(|_| expected())?;
                Ok(quote!(#value))
            }
            Some(Expr::Path(path)) => Ok(quote!(#path)),
            _ => self.text().and_then(|text| quantity(&text.value(), UNITS)).map(|n| quote!(#n)).ok_or_else(expected),
        }
    }

    fn millis(&self) -> Result<TokenStream> {
        const UNITS: &[(&str, u64)] = &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
        let millis = self.text().and_then(|text| quantity(&text.value(), UNITS));
        millis
            .map(|millis| quote!(#millis))
            .ok_or_else(|| self.wrong("a duration such as \"500ms\", \"30s\", \"2m\" or \"1h\""))
    }

    fn names(&self) -> Result<TokenStream> {
        let expected = || self.wrong("a list of names: `[\"map\"]`");
        let Some(Expr::Array(array)) = &self.value else { return Err(expected()) };
        let mut errors = Errors::default();
        let mut list = Vec::new();
        for element in &array.elems {
            match text(element) {
                Some(name) => {
                    errors.keep(names::check(&name.value(), "a name", name.span()));
                    list.push(name.value());
                }
                None => errors.push(Error::new_spanned(element, "expected a name in quotes")),
            }
        }
        errors.into_result(quote!(::parlor::rt::names(&[#(#list),*])))
    }

    fn word(&self, words: &[(&str, &str, &str)]) -> Result<TokenStream> {
        let given = self.text().map(LitStr::value).unwrap_or_default();
        match words.iter().find(|(word, ..)| *word == given) {
            Some((_, ty, variant)) => Ok(variant_of(ty, variant)),
            None => {
                let mut all: Vec<_> = words.iter().map(|(word, ..)| format!("\"{word}\"")).collect();
                let last = all.pop().unwrap_or_default();
                Err(self.wrong(&format!("{} or {last}", all.join(", "))))
            }
        }
    }

    fn flag(&self, ty: &str, variant: &str) -> Result<TokenStream> {
        match self.value {
            None => Ok(variant_of(ty, variant)),
            Some(_) => Err(self.wrong("no value: being there is enough")),
        }
    }

    fn text(&self) -> Option<&LitStr> {
        self.value.as_ref().and_then(text)
    }

    fn wrong(&self, expected: &str) -> Error {
        let text = format!("`{}` takes {expected}", self.key);
        match &self.value {
            Some(value) => Error::new_spanned(value, text),
            None => Error::new(self.key.span(), text),
        }
    }
}

fn variant_of(ty: &str, variant: &str) -> TokenStream {
    let (ty, variant) = (format_ident!("{ty}"), format_ident!("{variant}"));
    quote!(::parlor::rt::#ty::#variant)
}

fn text(value: &Expr) -> Option<&LitStr> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text),
        _ => None,
    }
}

/// `30s` as 30 times what `s` stands for.
fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}
