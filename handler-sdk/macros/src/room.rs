//! `#[room]`: reads the `impl` block, collects what is wrong, and writes it again with an `impl Room` beside it.

use std::collections::HashMap;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ImplItem, ItemImpl, Result};

use crate::attr::{self, Mark};
use crate::errors::Errors;
use crate::method::Method;
use crate::policy::Arguments;
use crate::{emit, work};

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let mut block: ItemImpl = match syn::parse2(item.clone()) {
        Ok(block) => block,
        Err(error) => {
            let error =
                Error::new(error.span(), format!("`#[room]` belongs on an `impl` block: {error}")).into_compile_error();
            return quote!(#error #item);
        }
    };
    let mut errors = Errors::default();
    let whole = errors.keep(is_inherent(&block));
    let arguments = errors.keep(Arguments::parse(arguments)).unwrap_or_default();
    let methods = distinct(take_methods(&mut block, &mut errors), &mut errors);
    let taken = work::pair(&methods, &mut errors);
    // With a mistake somewhere the rest is still written, lest `Room is not implemented` hide it.
    let room = whole.map(|()| emit::room(&block.self_ty, &arguments, &methods, &taken));
    let errors = errors.into_result(()).err().map(Error::into_compile_error);
    quote!(#errors #block #room)
}

fn is_inherent(block: &ItemImpl) -> Result<()> {
    if let Some((path, _)) = &block.trait_ {
        let text =
            "`#[room]` belongs on the room's own `impl` block; a hand-written `impl Room for …` needs no attribute";
        return Err(Error::new_spanned(path, text));
    }
    if !block.generics.params.is_empty() {
        let text = "a room cannot be generic: its kind is one type. Name the type: `impl Arena<Dust>`";
        return Err(Error::new_spanned(&block.generics, text));
    }
    Ok(())
}

/// Takes the attributes off, replaces work by its constants, and keeps what is in order.
fn take_methods(block: &mut ItemImpl, errors: &mut Errors) -> Vec<Method> {
    let mut methods = Vec::new();
    let mut items = Vec::new();
    for item in std::mem::take(&mut block.items) {
        let ImplItem::Fn(mut function) = item else {
            items.push(item);
            continue;
        };
        let mark = errors.keep(attr::take(&mut function)).flatten();
        let method = mark.and_then(|mark| errors.keep(Method::check(mark, &function)));
        match method.as_ref().map(|method| (method, &method.mark)) {
            Some((method, Mark::Work { name, .. })) => items.extend(work::reemit(method, function, name)),
            _ => items.push(ImplItem::Fn(function)),
        }
        methods.extend(method);
    }
    block.items = items;
    methods
}

/// Keeps the first of those that exclude each other. What depends on `#[cfg]` may be meant to.
fn distinct(methods: Vec<Method>, errors: &mut Errors) -> Vec<Method> {
    let mut first: HashMap<(&str, String), &'static str> = HashMap::new();
    methods
        .into_iter()
        .filter(|method| {
            let word = method.mark.word();
            let (space, name, span) = match &method.mark {
                Mark::Route(name) | Mark::Event(name) => ("message", name.text.clone(), name.span),
                Mark::Work { name, .. } => ("work", name.text.clone(), name.span),
                _ => (word, String::new(), method.ident.span()),
            };
            if !method.cfgs.is_empty() {
                return true;
            }
            let earlier = first.get(&(space, name.clone())).copied();
            if let Some(earlier) = earlier {
                errors.push(Error::new(span, taken_already(earlier, word, &name)));
            } else {
                first.insert((space, name), word);
            }
            earlier.is_none()
        })
        .collect()
}

fn taken_already(earlier: &str, now: &str, name: &str) -> String {
    match now {
        "route" | "event" | "work" if earlier == now => format!("a second `#[msg::{now}]` of the name `{name}`"),
        "route" | "event" => format!(
            "`{name}` is the name of `#[msg::{earlier}]`, too: what clients send and what the server side raises differ in \
             name"
        ),
        _ => format!("a second `#[msg::{now}]`: a room has one"),
    }
}
