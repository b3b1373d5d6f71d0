//! `#[derive(Message)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, LitStr, Result};

use crate::names;

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    if let Data::Union(union) = &input.data {
        return Err(Error::new(union.union_token.span, "a union cannot be a message"));
    }
    let name = type_name(input)?;
    let ident = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #generics ::parlor::Message for #ident #arguments #bounds {
            const TYPE: &'static str = #name;
        }
    })
}

fn type_name(input: &DeriveInput) -> Result<String> {
    let mut named = None;
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("message")) {
        let text: LitStr = attribute
            .parse_args()
            .map_err(|error| Error::new(error.span(), "write the message's type name: `#[message(\"moved\")]`"))?;
        if named.replace((text.value(), text.span())).is_some() {
            return Err(Error::new_spanned(attribute, "a message has one type name"));
        }
    }
    let (name, span) = named.unwrap_or_else(|| (names::snake_case(&input.ident), input.ident.span()));
    names::check(&name, "a message type", span)?;
    Ok(name)
}
