//! What a reload changed, and when the new value holds.

use std::collections::BTreeMap;
use std::fmt;

/// Every setting of a node with its value, defaults included, by the path of its key.
///
/// Values may be secret, so they are compared and never shown.
#[derive(Clone, Default, PartialEq)]
pub struct Written {
    values: BTreeMap<String, serde_json::Value>,
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Written({} keys)", self.values.len())
    }
}
