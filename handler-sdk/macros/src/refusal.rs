//! `#[derive(Refusal)]`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Attribute, Data, DeriveInput, Error, Fields, Ident, LitStr, Result, Variant};

use crate::errors::{Errors, at};
use crate::names;

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let ident = &input.ident;
    let body = match &input.data {
        Data::Enum(data) if data.variants.is_empty() => quote!(match self {}),
        Data::Enum(data) => {
            let mut errors = Errors::default();
            let arms: Vec<_> = data.variants.iter().filter_map(|variant| errors.keep(variant_arm(variant))).collect();
            errors.into_result(quote!(match self { #(#arms)* }))?
        }
        Data::Struct(data) => {
            let (pattern, failure) = arm(ident, &input.attrs, &data.fields)?;
            quote!({ let Self #pattern = self; #failure })
        }
        Data::Union(union) => return Err(Error::new(union.union_token.span, "a union cannot be a refusal")),
    };
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #generics ::parlor::Refusal for #ident #arguments #bounds {
            fn into_failure(self) -> ::parlor::Failure {
                #body
            }
        }
    })
}

fn variant_arm(variant: &Variant) -> Result<TokenStream> {
    let name = &variant.ident;
    let (pattern, failure) = arm(name, &variant.attrs, &variant.fields)?;
    Ok(quote!(Self::#name #pattern => #failure,))
}

/// The pattern behind the name, and the failure made of what it binds.
fn arm(name: &Ident, attributes: &[Attribute], fields: &Fields) -> Result<(TokenStream, TokenStream)> {
    let how = How::parse(attributes)?;
    if how.transparent {
        return transparent(name, fields);
    }
    let bound: Vec<&Ident> = match fields {
        Fields::Unit => Vec::new(),
        Fields::Named(fields) => fields.named.iter().filter_map(|field| field.ident.as_ref()).collect(),
        Fields::Unnamed(fields) => {
            let text = "name the fields: they become the parameters of the refusal. To pass on another refusal as it \
                        is, add `#[refusal(transparent)]`";
            return Err(Error::new_spanned(fields, text));
        }
    };
    let (code, span) = how.code.unwrap_or_else(|| (names::snake_case(name), name.span()));
    // It travels as `app.<code>`, and that is what has to fit.
    names::check(&code, "a refusal's code", span)?;
    names::check(&format!("app.{code}"), "a refusal's code, with its prefix `app.`,", span)?;
    let text = how.text.map_or_else(|| default_text(name), |text| message(&text));
    let parameters = bound.iter().map(|field| {
        let key = names::plain(field);
        quote_spanned!(at(field)=> .with(#key, #field))
    });
    let retry = how.retryable.then(|| quote!(.retry()));
    Ok((quote!({ #(#bound),* }), quote!(::parlor::Failure::app(#code, #text) #(#parameters)* #retry)))
}

fn transparent(name: &Ident, fields: &Fields) -> Result<(TokenStream, TokenStream)> {
    match fields {
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
            let ty = &fields.unnamed[0].ty;
            let failure = quote_spanned!(at(ty)=> <#ty as ::parlor::Refusal>::into_failure(inner));
            Ok((quote!((inner)), failure))
        }
        _ => Err(Error::new(
            name.span(),
            format!("`transparent` needs exactly one field without a name: `{name}(Inner)`"),
        )),
    }
}

fn default_text(name: &Ident) -> TokenStream {
    let text = names::words(name).join(" ");
    quote!(#text)
}

/// A text with braces is a format string in which the fields are variables.
fn message(text: &LitStr) -> TokenStream {
    if text.value().contains(['{', '}']) { quote!(::std::format!(#text)) } else { quote!(#text) }
}

/// What `#[refusal(…)]` says.
#[derive(Default)]
struct How {
    code: Option<(String, Span)>,
    text: Option<LitStr>,
    retryable: bool,
    transparent: bool,
}

impl How {
    fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut how = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("refusal")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("code") {
                    let code: LitStr = meta.value()?.parse()?;
                    how.code = Some((code.value(), code.span()));
                } else if meta.path.is_ident("text") {
                    how.text = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("retryable") {
                    how.retryable = true;
                } else if meta.path.is_ident("transparent") {
                    how.transparent = true;
                } else {
                    let known = ["code", "text", "retryable", "transparent"];
                    let wrong = meta.path.get_ident().map(names::plain).unwrap_or_default();
                    let hint = names::did_you_mean(&wrong, &known);
                    return Err(meta.error(format!("a refusal has `{}`{hint}", known.join("`, `"))));
                }
                Ok(())
            })?;
        }
        if how.transparent && (how.code.is_some() || how.text.is_some() || how.retryable) {
            let here = attributes.iter().find(|attribute| attribute.path().is_ident("refusal"));
            return Err(Error::new_spanned(here, "a transparent refusal takes everything from its inner one"));
        }
        Ok(how)
    }
}
