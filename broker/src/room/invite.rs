//! Invite codes: short enough to be read aloud, long enough not to be guessed.

use parlor_protocol::Policy;
use parlor_protocol::policy::Admission;
use rand::RngExt;

/// Digits and letters that nobody takes for each other (Crockford's base 32): 40 bits in a code of eight.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 8;

/// A fresh code, if rooms of this policy are joined by one.
pub(super) fn code_for(policy: &Policy) -> Option<String> {
    let wanted = [policy.join, policy.watch].contains(&Admission::Invite);
    wanted.then(|| {
        let mut random = rand::rng();
        let mut code: String =
            (0..LENGTH).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect();
        code.insert(LENGTH / 2, '-');
        code
    })
}

/// A code as it is looked up: without dashes and spaces, in capitals, and with what looks alike being alike.
pub(super) fn plain(code: &str) -> String {
    let alike = |letter: char| match letter.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    code.chars().filter(char::is_ascii_alphanumeric).map(alike).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_however_it_is_written() {
        let policy = Policy { join: Admission::Invite, ..Policy::default() };
        let code = code_for(&policy).unwrap();
        assert_eq!((code.len(), plain(&code).len()), (9, 8));
        assert_eq!(plain(&code.to_lowercase().replace('-', " ")), plain(&code));
        assert_eq!(plain("oi-l"), "011");
        assert_eq!(code_for(&Policy::default()), None);
    }
}
