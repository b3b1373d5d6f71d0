//! A room's type table: the numbers under which message names travel.

use std::collections::HashMap;
use std::sync::Arc;

/// Names in the order in which they were first used; the kind's routes come first.
#[derive(Debug, Default)]
pub(crate) struct TypeTable {
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

impl TypeTable {
    pub(crate) fn new(routes: &[Arc<str>]) -> Self {
        let mut table = Self::default();
        for route in routes {
            table.add(route);
        }
        table
    }

    /// The number of a name that is in the table.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// Appends a name that is not in the table; returns its number.
    pub(crate) fn add(&mut self, name: &str) -> u32 {
        let (name, number) = (Arc::<str>::from(name), self.names.len() as u32);
        self.names.push(name.clone());
        self.numbers.insert(name, number);
        number
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.names.iter().map(ToString::to_string).collect()
    }
}
