//! Names on the wire, and what somebody may have meant by a wrong one.

use proc_macro2::Span;
use syn::{Error, Ident, Result};

/// Bytes of a name on the wire; the protocol's `limits::MAX_NAME`.
const MAX_NAME: usize = 64;

/// Checks a name that goes over the wire; `what` says in the error which one it is.
pub(crate) fn check(name: &str, what: &str, span: Span) -> Result<()> {
    match name.len() {
        0 => Err(Error::new(span, format!("{what} cannot be empty"))),
        1..=MAX_NAME => Ok(()),
        length => Err(Error::new(span, format!("{what} has at most {MAX_NAME} bytes; this has {length}"))),
    }
}

/// The name of an identifier, without a leading `r#`.
pub(crate) fn plain(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}

/// `HTTPMoveBig` as `http_move_big`.
pub(crate) fn snake_case(ident: &Ident) -> String {
    words(ident).join("_")
}

/// `NotEnoughGold` as `["not", "enough", "gold"]`.
pub(crate) fn words(ident: &Ident) -> Vec<String> {
    let letters: Vec<char> = plain(ident).chars().collect();
    let mut words = vec![String::new()];
    for (i, &letter) in letters.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| letters[i]);
        let after = letters.get(i + 1);
        // A capital begins a word, unless it stands amid capitals: the `P` of `HTTPMove` does not, the `M` does.
        let amid = before.is_none_or(char::is_uppercase) && !after.is_some_and(|c| c.is_lowercase());
        if letter == '_' || (letter.is_uppercase() && !amid) {
            words.push(String::new());
        }
        if letter != '_' {
            words.last_mut().expect("there is always one").extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The nearest of the known names, as the end of an error's text, if one is near enough to be what was meant.
pub(crate) fn did_you_mean(wrong: &str, known: &[&str]) -> String {
    let nearest = known.iter().map(|name| (distance(wrong, name), name)).min();
    match nearest {
        Some((distance, name)) if distance <= 2 && distance < name.len() => format!("; did you mean `{name}`?"),
        _ => String::new(),
    }
}

/// Levenshtein's: insertions, deletions and replacements between two words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_where_a_reader_would() {
        for (name, snake) in [
            ("Moved", "moved"),
            ("PlayerMoved", "player_moved"),
            ("HTTPMove", "http_move"),
            ("GameHTTP", "game_http"),
            ("Vec2Moved", "vec2_moved"),
            ("A", "a"),
            ("ABTest", "ab_test"),
            ("already_snake", "already_snake"),
        ] {
            assert_eq!(snake_case(&Ident::new(name, Span::call_site())), snake);
        }
        assert_eq!(snake_case(&Ident::new_raw("move", Span::call_site())), "move");
    }

    #[test]
    fn only_near_names_are_suggested() {
        let known = ["route", "event", "tick"];
        assert_eq!(did_you_mean("rout", &known), "; did you mean `route`?");
        assert_eq!(did_you_mean("tikc", &known), "; did you mean `tick`?");
        assert_eq!(did_you_mean("banana", &known), "");
    }
}
