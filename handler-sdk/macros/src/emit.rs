//! The `impl Room` of a room: every hook calls the method that was marked for it.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;

use crate::attr::{Mark, Name};
use crate::errors::at;
use crate::method::{Method, Role};
use crate::policy::Arguments;
use crate::work::{self, Taken};

pub(crate) fn room(ty: &Type, arguments: &Arguments, methods: &[Method], taken: &[Taken<'_>]) -> TokenStream {
    let Arguments { kind, fields } = arguments;
    let routes: Vec<_> = methods.iter().filter_map(route).collect();
    let events: Vec<_> = methods.iter().filter_map(|method| event(method, taken)).collect();
    let (route_names, event_names) = (list(&routes), list(&events));
    let route_arms = routes.iter().map(|(name, method)| arm(method, &name.text, &answer(method)));
    let works = work::emit(taken);
    let on_event = on_event(&events);
    let hooks = methods.iter().filter_map(hook);
    quote! {
        #[allow(unused_imports, unused_variables, clippy::needless_update)]
        impl ::parlor::Room for #ty {
            const KIND: &'static str = #kind;
            const ROUTES: &'static [&'static str] = &[#route_names];
            const EVENTS: &'static [&'static str] = &[#event_names];

            fn policy() -> ::parlor::Policy {
                ::parlor::Policy { #(#fields,)* ..::core::default::Default::default() }
            }

            fn on_message(
                &mut self,
                ctx: &mut ::parlor::Ctx,
                from: ::parlor::Origin,
                route: &str,
                payload: &::parlor::Payload,
            ) -> ::parlor::Result {
                match route {
                    #(#route_arms)*
                    other => ::core::result::Result::Err(::parlor::rt::unknown(other)),
                }
            }

            #on_event
            #works
            #(#hooks)*
        }
    }
}

fn route(method: &Method) -> Option<(&Name, &Method)> {
    match &method.mark {
        Mark::Route(name) => Some((name, method)),
        _ => None,
    }
}

/// The events that the server side may raise. What takes the result of work is called for that alone.
fn event<'a>(method: &'a Method, taken: &[Taken<'_>]) -> Option<(&'a Name, &'a Method)> {
    let done = taken.iter().any(|taken| std::ptr::eq(taken.event, method)) && method.parameter(Role::Payload).is_some();
    match &method.mark {
        Mark::Event(name) if !done && work::takes_done(method).is_none() => Some((name, method)),
        _ => None,
    }
}

fn list(named: &[(&Name, &Method)]) -> TokenStream {
    let names = named.iter().map(|(Name { text, .. }, Method { cfgs, .. })| quote!(#(#cfgs)* #text));
    quote!(#(#names),*)
}

/// An arm of a `match` on a name, which is there when the method is.
pub(crate) fn arm(method: &Method, name: &str, body: &TokenStream) -> TokenStream {
    let cfgs = &method.cfgs;
    quote!(#(#cfgs)* #name => { #body })
}

fn on_event(events: &[(&Name, &Method)]) -> Option<TokenStream> {
    let arms = events.iter().map(|(name, method)| arm(method, &name.text, &unit(method, &decoded)));
    (!events.is_empty()).then(|| {
        quote! {
            fn on_event(
                &mut self,
                ctx: &mut ::parlor::Ctx,
                event: &str,
                payload: &::parlor::Payload,
            ) -> ::parlor::Result {
                match event {
                    #(#arms)*
                    other => ::core::result::Result::Err(::parlor::rt::unknown(other)),
                }
            }
        }
    })
}

/// The hooks of which there is one each.
fn hook(method: &Method) -> Option<TokenStream> {
    let (head, body) = match &method.mark {
        Mark::Open => (
            quote!(fn on_open(&mut self, ctx: &mut ::parlor::Ctx, payload: &::parlor::Payload) -> ::parlor::Result),
            unit(method, &decoded),
        ),
        Mark::Join => (
            quote!(fn on_join(
                &mut self,
                ctx: &mut ::parlor::Ctx,
                player: &::parlor::Player,
                payload: &::parlor::Payload,
            ) -> ::parlor::Result),
            unit(method, &decoded),
        ),
        Mark::Drop => (
            quote!(fn on_drop(&mut self, ctx: &mut ::parlor::Ctx, player: &::parlor::Player) -> ::parlor::Result),
            unit(method, &decoded),
        ),
        Mark::Resume => (
            quote!(fn on_resume(&mut self, ctx: &mut ::parlor::Ctx, player: &::parlor::Player) -> ::parlor::Result),
            unit(method, &decoded),
        ),
        Mark::Leave => (
            quote!(fn on_leave(
                &mut self,
                ctx: &mut ::parlor::Ctx,
                player: &::parlor::Player,
                why: ::parlor::Leave,
            ) -> ::parlor::Result),
            unit(method, &decoded),
        ),
        Mark::Close => (
            quote!(fn on_close(
                &mut self,
                ctx: &mut ::parlor::Ctx,
                why: ::parlor::CloseWhy,
                time: ::core::time::Duration,
            ) -> ::parlor::Result),
            unit(method, &decoded),
        ),
        Mark::Tick => (
            quote!(fn on_tick(&mut self, ctx: &mut ::parlor::Ctx, time: ::core::time::Duration) -> ::parlor::Result),
            unit(method, &decoded),
        ),
        Mark::View => (
            quote!(fn on_view(
                &self,
                player: &::parlor::Player,
            ) -> ::parlor::Result<::core::option::Option<::parlor::rt::Bytes>>),
            view(method),
        ),
        Mark::Migrate => (
            quote!(fn from_version(version: &str, payload: &::parlor::Payload) -> ::parlor::Result<Self>),
            migrate(method),
        ),
        Mark::MigrateBack => (
            quote!(fn for_version(
                &self,
                version: &str,
            ) -> ::parlor::Result<::core::option::Option<::parlor::Payload>>),
            migrate_back(method),
        ),
        Mark::Route(_) | Mark::Event(_) | Mark::Work { .. } => return None,
    };
    let cfgs = &method.cfgs;
    Some(quote!(#(#cfgs)* #head { #body }))
}

/// A call whose value is the reply.
fn answer(method: &Method) -> TokenStream {
    let (call, at) = (call(method, &decoded), returned_at(method));
    // A method call, because only the types know whether the value is a `Result`: see `rt::Returned`.
    let answer = quote_spanned!(at=> ::parlor::rt::Returned(returned).answer(ctx));
    quote! {
        use ::parlor::rt::ByValue as _;
        let returned = #call;
        #answer
    }
}

/// A call whose value is the view.
fn view(method: &Method) -> TokenStream {
    let (call, at) = (call(method, &decoded), returned_at(method));
    let view = quote_spanned!(at=> ::parlor::rt::Returned(#call).view());
    quote! {
        use ::parlor::rt::ByValue as _;
        #view
    }
}

/// A call whose value is the room.
fn migrate(method: &Method) -> TokenStream {
    let (call, at) = (call(method, &older), returned_at(method));
    let room = quote_spanned!(at=> ::parlor::rt::Returned(#call).value());
    quote! {
        use ::parlor::rt::{ByValue as _, Decoded as _};
        #room
    }
}

/// A call whose value is the state for an older version, if there is one.
fn migrate_back(method: &Method) -> TokenStream {
    let (call, at) = (call(method, &decoded), returned_at(method));
    let state = quote_spanned!(at=> ::parlor::rt::older(::parlor::rt::Returned(#call).value()?));
    quote! {
        use ::parlor::rt::ByValue as _;
        #state
    }
}

/// A call that has no value, but may fail.
pub(crate) fn unit(method: &Method, payload: &dyn Fn(&Type) -> TokenStream) -> TokenStream {
    let (call, at) = (call(method, payload), returned_at(method));
    let returns = method.returns.as_ref().map(|ty| quote!(::<#ty>));
    quote_spanned!(at=> ::parlor::rt::hook #returns (#call))
}

fn returned_at(method: &Method) -> Span {
    method.returns.as_ref().map_or_else(Span::call_site, at)
}

fn call(method: &Method, payload: &dyn Fn(&Type) -> TokenStream) -> TokenStream {
    let ident = &method.ident;
    let arguments = method.parameters.iter().map(|(role, ty)| match role {
        Role::Ctx => given(ty, &quote!(&mut ::parlor::Ctx), &quote!(&mut *ctx)),
        Role::Player => given(ty, &quote!(&::parlor::Player), &quote!(player)),
        Role::From => given(ty, &quote!(::parlor::PlayerId), &quote!(from.player)),
        Role::Leave => given(ty, &quote!(::parlor::Leave), &quote!(why)),
        Role::CloseWhy => given(ty, &quote!(::parlor::CloseWhy), &quote!(why)),
        Role::Duration => given(ty, &quote!(::core::time::Duration), &quote!(time)),
        Role::Env => given(ty, &quote!(::parlor::Env), &quote!(env)),
        Role::Version => given(ty, &quote!(&str), &quote!(version)),
        Role::Payload => payload(ty),
    });
    let receiver = (!matches!(method.mark, Mark::Migrate)).then(|| quote!(self,));
    quote!(Self::#ident(#receiver #(#arguments),*))
}

/// What the room passes as it is. That the parameter is of that type is checked where the user wrote it.
pub(crate) fn given(ty: &Type, passed: &TokenStream, value: &TokenStream) -> TokenStream {
    quote_spanned!(at(ty)=> ::parlor::rt::given::<#ty, #passed>(#value))
}

fn older(ty: &Type) -> TokenStream {
    quote_spanned!(at(ty)=> ::parlor::rt::Older::<#ty>(payload, ::core::marker::PhantomData).read()?)
}

fn decoded(ty: &Type) -> TokenStream {
    quote_spanned!(at(ty)=> ::parlor::rt::payload::<#ty>(payload)?)
}
