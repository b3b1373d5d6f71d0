//! `#[msg::work]`: an async function that becomes a typed constant, so that `ctx.run(Self::load, Load { … })` is checked.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Error, GenericArgument, ImplItem, ImplItemFn, PathArguments, PathSegment, Result, Type};

use crate::attr::{Mark, Name};
use crate::emit;
use crate::errors::{Errors, at};
use crate::method::{Method, Role};
use crate::names;

/// Renames the function and puts the constant in its place.
pub(crate) fn reemit(work: &Method, mut function: ImplItemFn, name: &Name) -> Vec<ImplItem> {
    let (Some(env), Some(argument), Some(returns)) =
        (work.parameter(Role::Env), work.parameter(Role::Payload), work.returns.as_ref())
    else {
        return vec![ImplItem::Fn(function)];
    };
    let shown = function.sig.ident.clone();
    let hidden = format_ident!("__work_{}", names::plain(&shown), span = shown.span());
    let vis = std::mem::replace(&mut function.vis, syn::Visibility::Inherited);
    function.sig.ident = hidden.clone();
    let about: Vec<_> = function
        .attrs
        .iter()
        .filter(|a| ["doc", "cfg", "deprecated"].iter().any(|kept| a.path().is_ident(kept)))
        .collect();
    let text = &name.text;
    let value = quote_spanned!(at(returns)=> ::parlor::rt::ValueOf<#returns>);
    let refusal = quote_spanned!(at(returns)=> ::parlor::rt::RefusalOf<#returns>);
    let env = emit::given(env, &quote!(::parlor::Env), &quote!(env));
    let future = quote_spanned!(at(&shown)=> ::std::boxed::Box::pin(Self::#hidden(#env, job)));
    let constant = quote! {
        #(#about)*
        #[allow(non_upper_case_globals)]
        #vis const #shown: ::parlor::Work<#argument, #value, #refusal> =
            ::parlor::Work::new(#text, |env, job| #future);
    };
    vec![ImplItem::Verbatim(constant), ImplItem::Fn(function)]
}

/// A piece of work, and who takes its result.
pub(crate) struct Taken<'a> {
    pub(crate) work: &'a Method,
    pub(crate) name: &'a Name,
    pub(crate) event: &'a Method,
}

/// Finds the receiver of each work's result.
pub(crate) fn pair<'a>(methods: &'a [Method], errors: &mut Errors) -> Vec<Taken<'a>> {
    let mut taken = Vec::new();
    for work in methods {
        if let Mark::Work { name, done } = &work.mark {
            let event = match done {
                Some(done) => named(methods, done),
                None => matching(methods, work),
            };
            taken.extend(errors.keep(event).map(|event| Taken { work, name, event }));
        }
    }
    // After another error the work may be there and only misspelt.
    if errors.is_empty() {
        no_idle_events(methods, &taken, errors);
    }
    taken
}

fn no_idle_events(methods: &[Method], taken: &[Taken<'_>], errors: &mut Errors) {
    for (_, event) in events(methods) {
        if takes_done(event).is_some() && !taken.iter().any(|taken| std::ptr::eq(taken.event, event)) {
            let text = "no `#[msg::work]` here has this result";
            errors.push(Error::new_spanned(event.parameter(Role::Payload), text));
        }
    }
}

fn events(methods: &[Method]) -> impl Iterator<Item = (&Name, &Method)> {
    methods.iter().filter_map(|method| match &method.mark {
        Mark::Event(name) => Some((name, method)),
        _ => None,
    })
}

fn named<'a>(methods: &'a [Method], done: &Name) -> Result<&'a Method> {
    events(methods).find(|(name, _)| name.text == done.text).map(|(_, method)| method).ok_or_else(|| {
        let known: Vec<_> = events(methods).map(|(name, _)| name.text.as_str()).collect();
        let hint = names::did_you_mean(&done.text, &known);
        Error::new(done.span, format!("there is no `#[msg::event]` named `{}`{hint}", done.text))
    })
}

fn matching<'a>(methods: &'a [Method], work: &Method) -> Result<&'a Method> {
    let result = work.returns.as_ref().and_then(|ty| arguments_of(ty, "Result"));
    let takes = |event: &Method| takes_done(event).is_some_and(|done| Some(done) == result);
    let mut fitting = events(methods).map(|(_, method)| method).filter(|event| takes(event));
    match (fitting.next(), fitting.next()) {
        (Some(event), None) => Ok(event),
        (None, _) => {
            let ty = work.returns.as_ref().map(|ty| ty.to_token_stream().to_string()).unwrap_or_default();
            let text = format!(
                "nobody takes the result of this work: add `#[msg::event] fn …(&mut self, ctx: &mut Ctx, done: Done<T, E>)` \
                 with the `T` and `E` of `{}`, or name the event: `#[msg::work(done = \"event\")]`",
                ty.replace(' ', "").replace(',', ", "),
            );
            Err(Error::new(work.ident.span(), text))
        }
        (Some(_), Some(_)) => {
            let text = "several events take this result: name the one that is to, `#[msg::work(done = \"event\")]`";
            Err(Error::new(work.ident.span(), text))
        }
    }
}

/// The types in the `Done<T, E>` that an event takes.
pub(crate) fn takes_done(event: &Method) -> Option<(String, String)> {
    event.parameter(Role::Payload).and_then(|ty| arguments_of(ty, "Done"))
}

/// `T` and `E` of `Name<T, E>`, as text to compare. Without an `E` it is what both `Done` and `parlor::Result` default to.
fn arguments_of(ty: &Type, name: &str) -> Option<(String, String)> {
    let path = match ty {
        Type::Path(path) => path,
        // Around what came through a `macro_rules` variable.
        Type::Group(inner) => return arguments_of(&inner.elem, name),
        _ => return None,
    };
    let PathSegment { ident, arguments: PathArguments::AngleBracketed(arguments) } = path.path.segments.last()? else {
        return None;
    };
    let mut types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    let value = types.next()?.to_token_stream().to_string();
    let refusal = types.next().map_or_else(|| "Failure".to_owned(), |ty| ty.to_token_stream().to_string());
    let refusal = if refusal.ends_with(":: Failure") { "Failure".to_owned() } else { refusal };
    (*ident == name).then_some((value, refusal))
}

/// `Room::works` and `Room::on_work`.
pub(crate) fn emit(taken: &[Taken<'_>]) -> Option<TokenStream> {
    let list = taken.iter().map(|Taken { work, .. }| {
        let Method { cfgs, ident, returns, .. } = work;
        let argument = work.parameter(Role::Payload);
        quote!(#(#cfgs)* ::parlor::rt::work::<#argument, #returns>(Self::#ident))
    });
    let arms = taken.iter().map(arm);
    (!taken.is_empty()).then(|| {
        quote! {
            fn works() -> ::std::vec::Vec<::parlor::WorkFn> {
                ::parlor::rt::list([#(#list),*])
            }

            fn on_work(
                &mut self,
                ctx: &mut ::parlor::Ctx,
                id: ::parlor::WorkId,
                work: &str,
                result: ::parlor::Result<::parlor::Payload>,
            ) -> ::parlor::Result {
                match work {
                    #(#arms)*
                    other => ::core::result::Result::Err(::parlor::rt::unknown(other)),
                }
            }
        }
    })
}

fn arm(Taken { work, name, event }: &Taken<'_>) -> TokenStream {
    let returns = &work.returns;
    let done = quote!(::parlor::Done<::parlor::rt::ValueOf<#returns>, ::parlor::rt::RefusalOf<#returns>>);
    let call = emit::unit(event, &|ty| emit::given(ty, &done, &quote!(done)));
    emit::arm(work, &name.text, &quote!(let done = ::parlor::rt::done::<#returns>(id, result)?; #call))
}
