//! The macros of the `parlor` crate, which re-exports and documents them. They write nothing that could not be written by
//! hand, and name everything that they use by its full path, so that nothing in the user's scope can get in their way.

use proc_macro::TokenStream;
use syn::parse_macro_input;

mod attr;
mod emit;
mod errors;
mod message;
mod method;
mod names;
mod policy;
mod refusal;
mod room;
mod work;

/// Makes an `impl` block a room kind.
#[proc_macro_attribute]
pub fn room(arguments: TokenStream, item: TokenStream) -> TokenStream {
    room::expand(arguments.into(), &item.into()).into()
}

/// Gives a structure its message type name: its own name in snake case, or `#[message("name")]`.
#[proc_macro_derive(Message, attributes(message))]
pub fn message(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as syn::DeriveInput);
    message::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes each variant of an enum, or a structure, a reason for saying no.
#[proc_macro_derive(Refusal, attributes(refusal))]
pub fn refusal(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as syn::DeriveInput);
    refusal::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes one of the attributes behind `parlor::msg`. `#[room]` takes them off the methods it knows, so one that is
/// expanded stands in the wrong place.
macro_rules! markers {
    ($($(#[$doc:meta])* $function:ident $name:literal;)*) => {$(
        $(#[$doc])*
        #[proc_macro_attribute]
        pub fn $function(_: TokenStream, item: TokenStream) -> TokenStream {
            attr::misplaced($name, item.into()).into()
        }
    )*};
}

markers! {
    /// The room begins.
    msg_open "open";
    /// Somebody wants in.
    msg_join "join";
    /// A member has lost its connection.
    msg_drop "drop";
    /// A member is back.
    msg_resume "resume";
    /// A member is gone.
    msg_leave "leave";
    /// The room is to be closed.
    msg_close "close";
    /// A client says something.
    msg_route "route";
    /// The server side says something.
    msg_event "event";
    /// Outside work.
    msg_work "work";
    /// What a player gets to see.
    msg_view "view";
    /// The clock ticks.
    msg_tick "tick";
    /// The state of an older version.
    msg_migrate "migrate";
    /// The state for an older version.
    msg_migrate_back "migrate_back";
}
