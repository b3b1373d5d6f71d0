//! The `#[msg::…]` attributes.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::ParseStream;
use syn::{Attribute, Error, Ident, ImplItemFn, LitStr, Meta, Result, Token};

use crate::names;

/// All of them.
const KNOWN: [&str; 13] = [
    "open",
    "join",
    "drop",
    "resume",
    "leave",
    "close",
    "route",
    "event",
    "work",
    "view",
    "tick",
    "migrate",
    "migrate_back",
];

/// What a method is for.
pub(crate) enum Mark {
    Open,
    Join,
    Drop,
    Resume,
    Leave,
    Close,
    View,
    Tick,
    Migrate,
    MigrateBack,
    Route(Name),
    Event(Name),
    Work { name: Name, done: Option<Name> },
}

/// A name, and where it was given.
#[derive(Clone)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) span: Span,
}

impl Mark {
    /// The attribute without its `msg::`.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Mark::Open => "open",
            Mark::Join => "join",
            Mark::Drop => "drop",
            Mark::Resume => "resume",
            Mark::Leave => "leave",
            Mark::Close => "close",
            Mark::View => "view",
            Mark::Tick => "tick",
            Mark::Migrate => "migrate",
            Mark::MigrateBack => "migrate_back",
            Mark::Route(_) => "route",
            Mark::Event(_) => "event",
            Mark::Work { .. } => "work",
        }
    }

    fn parse(attribute: &Attribute, word: &Ident, method: &Ident) -> Result<Self> {
        let bare = |mark| match &attribute.meta {
            Meta::Path(_) => Ok(mark),
            _ => Err(Error::new_spanned(&attribute.meta, format!("`#[msg::{word}]` takes no arguments"))),
        };
        match word.to_string().as_str() {
            "open" => bare(Mark::Open),
            "join" => bare(Mark::Join),
            "drop" => bare(Mark::Drop),
            "resume" => bare(Mark::Resume),
            "leave" => bare(Mark::Leave),
            "close" => bare(Mark::Close),
            "view" => bare(Mark::View),
            "tick" => bare(Mark::Tick),
            "migrate" => bare(Mark::Migrate),
            "migrate_back" => bare(Mark::MigrateBack),
            "route" => route(attribute),
            "event" => Arguments::parse(attribute)?.only_name()?.map_or_else(|| Name::of(method), Ok).map(Mark::Event),
            "work" => {
                let Arguments { name, done } = Arguments::parse(attribute)?;
                Ok(Mark::Work { name: name.map_or_else(|| Name::of(method), Ok)?, done })
            }
            other => {
                let hint = names::did_you_mean(other, &KNOWN);
                Err(Error::new(word.span(), format!("there is no `#[msg::{other}]`{hint}")))
            }
        }
    }
}

fn route(attribute: &Attribute) -> Result<Mark> {
    let needed = "a route needs the message type that clients send: `#[msg::route(\"move\")]`";
    if matches!(attribute.meta, Meta::Path(_)) {
        return Err(Error::new_spanned(&attribute.meta, needed));
    }
    let mut name = Arguments::parse(attribute)?.only_name()?.ok_or_else(|| Error::new_spanned(attribute, needed))?;
    if let Some(rest) = name.text.strip_prefix("/type=") {
        name.text = rest.to_owned();
    }
    names::check(&name.text, "a message type", name.span)?;
    Ok(Mark::Route(name))
}

impl Name {
    fn of(method: &Ident) -> Result<Self> {
        Self::new(names::plain(method), method.span())
    }

    fn new(text: String, span: Span) -> Result<Self> {
        names::check(&text, "a name", span)?;
        Ok(Self { text, span })
    }
}

/// What stands in the parentheses: `"name", done = "event"`.
#[derive(Default)]
struct Arguments {
    name: Option<Name>,
    done: Option<Name>,
}

impl Arguments {
    fn parse(attribute: &Attribute) -> Result<Self> {
        match &attribute.meta {
            Meta::Path(_) => Ok(Self::default()),
            _ => attribute.parse_args_with(Self::parse_list),
        }
    }

    fn parse_list(input: ParseStream<'_>) -> Result<Self> {
        let mut arguments = Self::default();
        while !input.is_empty() {
            if input.peek(LitStr) && arguments.name.is_none() {
                let name: LitStr = input.parse()?;
                arguments.name = Some(Name::new(name.value(), name.span())?);
            } else if input.peek(Ident) && input.fork().parse::<Ident>()? == "done" && arguments.done.is_none() {
                input.parse::<Ident>()?;
                input.parse::<Token![=]>()?;
                let event: LitStr = input.parse()?;
                arguments.done = Some(Name::new(event.value(), event.span())?);
            } else {
                return Err(input.error("expected one name in quotes"));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(arguments)
    }

    fn only_name(self) -> Result<Option<Name>> {
        match self.done {
            Some(done) => Err(Error::new(done.span, "only `#[msg::work]` says who takes its result")),
            None => Ok(self.name),
        }
    }
}

/// Takes the `#[msg::…]` off a method; `None` when it has none, and is none of the room's business.
pub(crate) fn take(method: &mut ImplItemFn) -> Result<Option<Mark>> {
    let ident = method.sig.ident.clone();
    let (ours, others): (Vec<_>, Vec<_>) =
        std::mem::take(&mut method.attrs).into_iter().partition(|a| word(a).is_some());
    method.attrs = others;
    match ours.as_slice() {
        [] => Ok(None),
        [one] => Mark::parse(one, word(one).expect("partitioned by it"), &ident).map(Some),
        [_, second, ..] => Err(Error::new_spanned(second, "a method has one `#[msg::…]` attribute")),
    }
}

/// The `route` of `#[msg::route]` or `#[parlor::msg::route]`.
fn word(attribute: &Attribute) -> Option<&Ident> {
    let mut segments = attribute.path().segments.iter().rev();
    let last = &segments.next()?.ident;
    (segments.next()?.ident == "msg").then_some(last)
}

/// What an attribute says that `#[room]` did not take off.
pub(crate) fn misplaced(word: &str, item: TokenStream) -> TokenStream {
    let text = format!("`#[msg::{word}]` belongs on a method inside an `#[room]` impl block");
    let error = Error::new(Span::call_site(), text).into_compile_error();
    quote!(#error #item)
}
