//! The methods that `#[msg::…]` marks: what each kind of them looks like, and what may be wrong with one.

use syn::{Attribute, Error, FnArg, Ident, ImplItemFn, PatType, ReceiverKind, Result, ReturnType, Type};

use crate::attr::Mark;
use crate::errors::Errors;

/// A method with everything that the room's code needs to call it.
pub(crate) struct Method {
    pub(crate) mark: Mark,
    pub(crate) ident: Ident,
    /// Whatever it depends on, its call depends on too.
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) parameters: Vec<(Role, Type)>,
    /// `None` for `()` that is not written.
    pub(crate) returns: Option<Type>,
}

/// What a parameter is for.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Role {
    Ctx,
    Player,
    From,
    Leave,
    CloseWhy,
    Duration,
    Env,
    Version,
    Payload,
}

impl Role {
    /// How it is passed, and what to say when it is not.
    fn passed(self) -> (Passed, &'static str) {
        match self {
            Role::Ctx => (Passed::Mut, "the context is passed as `ctx: &mut Ctx`"),
            Role::Player => (Passed::Shared, "the player is passed as `player: &Player`"),
            Role::From => (Passed::Value, "the sender is passed as `from: PlayerId`"),
            Role::Leave => (Passed::Value, "the reason is passed as `why: Leave`"),
            Role::CloseWhy => (Passed::Value, "the reason is passed as `why: CloseWhy`"),
            Role::Duration => (Passed::Value, "the time is passed as a `Duration`"),
            Role::Env => (Passed::Value, "the environment is passed as `env: Env`"),
            Role::Version => (Passed::Shared, "the version is passed as `&str`"),
            Role::Payload => (Passed::Value, "a payload is passed by value: it is decoded for this call"),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Passed {
    Value,
    Shared,
    Mut,
}

/// What methods with a certain mark look like.
struct Form {
    receiver: Option<Passed>,
    required: &'static [Role],
    optional: &'static [Role],
    /// The same for people.
    example: &'static str,
}

fn form(mark: &Mark) -> Form {
    use Role::{CloseWhy, Ctx, Duration, Env, From, Leave, Payload, Player, Version};
    let (required, optional, example): (&[Role], &[Role], _) = match mark {
        Mark::Open => (&[Ctx], &[Payload], "fn(&mut self, ctx: &mut Ctx, options: T)"),
        Mark::Join => (&[Ctx, Player], &[Payload], "fn(&mut self, ctx: &mut Ctx, player: &Player, options: T)"),
        Mark::Drop | Mark::Resume => (&[Ctx, Player], &[], "fn(&mut self, ctx: &mut Ctx, player: &Player)"),
        Mark::Leave => (&[Ctx, Player], &[Leave], "fn(&mut self, ctx: &mut Ctx, player: &Player, why: Leave)"),
        Mark::Close => (&[Ctx], &[CloseWhy, Duration], "fn(&mut self, ctx: &mut Ctx, why: CloseWhy, grace: Duration)"),
        Mark::View => (&[Player], &[], "fn(&self, to: &Player) -> T"),
        Mark::Tick => (&[Ctx], &[Duration], "fn(&mut self, ctx: &mut Ctx, dt: Duration)"),
        Mark::Route(_) => (&[Ctx, From], &[Payload], "fn(&mut self, ctx: &mut Ctx, from: PlayerId, message: T)"),
        Mark::Event(_) => (&[Ctx], &[Payload], "fn(&mut self, ctx: &mut Ctx, event: T)"),
        Mark::Work { .. } => (&[Env, Payload], &[], "async fn(env: Env, job: T) -> Result<U, E>"),
        Mark::Migrate => (&[Version, Payload], &[], "fn(from: &str, state: T) -> Result<Self, E>"),
        Mark::MigrateBack => (&[Version], &[], "fn(&self, to: &str) -> Option<T>"),
    };
    let receiver = match mark {
        Mark::View | Mark::MigrateBack => Some(Passed::Shared),
        Mark::Work { .. } | Mark::Migrate => None,
        _ => Some(Passed::Mut),
    };
    Form { receiver, required, optional, example }
}

impl Method {
    pub(crate) fn check(mark: Mark, method: &ImplItemFn) -> Result<Self> {
        let form = form(&mark);
        let word = mark.word();
        let mut errors = Errors::default();
        errors.keep(is_plain(&mark, method));
        errors.keep(has_result(&mark, method));
        errors.keep(has_receiver(&form, word, method));
        let parameters = errors.keep(parameters(&form, word, method)).unwrap_or_default();
        let returns = match &method.sig.output {
            ReturnType::Default => None,
            ReturnType::Type(_, ty) => Some(ty.as_ref().clone()),
        };
        let cfgs = method.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg")).cloned().collect();
        errors.into_result(Self { mark, ident: method.sig.ident.clone(), cfgs, parameters, returns })
    }

    /// The type of the parameter that plays a role, if the method has it.
    pub(crate) fn parameter(&self, role: Role) -> Option<&Type> {
        self.parameters.iter().find(|(other, _)| *other == role).map(|(_, ty)| ty)
    }
}

fn is_plain(mark: &Mark, method: &ImplItemFn) -> Result<()> {
    let sig = &method.sig;
    if !sig.generics.params.is_empty() {
        return Err(Error::new_spanned(&sig.generics, "a handler cannot be generic: each message has one type"));
    }
    match (&sig.asyncness, mark) {
        (None, Mark::Work { .. }) => Err(Error::new(sig.fn_token.span, "work is an `async fn`")),
        (Some(_), Mark::Work { .. }) | (None, _) => Ok(()),
        (Some(found), _) => Err(Error::new(
            found.span,
            "a handler cannot await: the room stands still meanwhile. Move what takes time into an `async fn` with \
             `#[msg::work]` and start it with `ctx.run`",
        )),
    }
}

fn has_result(mark: &Mark, method: &ImplItemFn) -> Result<()> {
    match (mark, &method.sig.output) {
        (Mark::Work { .. }, ReturnType::Default) => Err(Error::new(
            method.sig.ident.span(),
            "work returns a `Result<T, E>`, which comes back as a `Done<T, E>`",
        )),
        (Mark::Migrate, ReturnType::Default) => {
            Err(Error::new(method.sig.ident.span(), "a migration returns the room: `Self`, or `Result<Self, E>`"))
        }
        (Mark::MigrateBack, ReturnType::Default) => Err(Error::new(
            method.sig.ident.span(),
            "a migration back returns the state for that version, if it knows it: `Option<T>`, or `Result<Option<T>, E>`",
        )),
        _ => Ok(()),
    }
}

fn has_receiver(form: &Form, word: &str, method: &ImplItemFn) -> Result<()> {
    let found = method.sig.inputs.iter().find_map(|input| match input {
        FnArg::Receiver(receiver) => Some(receiver),
        FnArg::Typed(_) => None,
    });
    let passed = found.map(|receiver| match &receiver.kind {
        ReceiverKind::Reference(_, _, None) => Passed::Shared,
        ReceiverKind::Reference(_, _, Some(_)) => Passed::Mut,
        ReceiverKind::Typed(_, ty) => passed(ty),
        _ => Passed::Value,
    });
    if passed == form.receiver {
        return Ok(());
    }
    let text = match form.receiver {
        Some(Passed::Shared) => format!("`#[msg::{word}]` only looks at the room: it takes `&self`"),
        Some(_) => format!("`#[msg::{word}]` takes `&mut self`"),
        None if word == "migrate" => "a migration makes the room: there is no `self` yet".to_owned(),
        None => "work runs outside the room: it has no `self`, and gets all that it needs in its argument".to_owned(),
    };
    Err(match found {
        Some(receiver) => Error::new_spanned(receiver, text),
        None => Error::new(method.sig.ident.span(), text),
    })
}

fn parameters(form: &Form, word: &str, method: &ImplItemFn) -> Result<Vec<(Role, Type)>> {
    let given: Vec<&PatType> = method.sig.inputs.iter().filter_map(typed).collect();
    let roles: Vec<Role> = form.required.iter().chain(form.optional).copied().collect();
    let mut errors = Errors::default();
    let expected = || format!("`#[msg::{word}]` has the form `{}`", form.example);
    if given.len() < form.required.len() {
        errors.push(Error::new(method.sig.ident.span(), expected()));
    }
    if let Some(extra) = given.get(roles.len()) {
        errors.push(Error::new_spanned(extra, format!("one parameter too many: {}", expected())));
    }
    let mut parameters = Vec::new();
    for (role, parameter) in roles.into_iter().zip(given) {
        let (expected, text) = role.passed();
        if passed(&parameter.ty) == expected {
            parameters.push((role, parameter.ty.as_ref().clone()));
        } else {
            errors.push(Error::new_spanned(&parameter.ty, text));
        }
    }
    errors.into_result(parameters)
}

fn typed(input: &FnArg) -> Option<&PatType> {
    match input {
        FnArg::Typed(parameter) => Some(parameter),
        FnArg::Receiver(_) => None,
    }
}

/// Only the form is checked here: which type a name stands for, the compiler knows better.
fn passed(ty: &Type) -> Passed {
    match ty {
        Type::Reference(reference) if reference.mutability.is_some() => Passed::Mut,
        Type::Reference(_) => Passed::Shared,
        Type::Paren(inner) => passed(&inner.elem),
        Type::Group(inner) => passed(&inner.elem),
        _ => Passed::Value,
    }
}
