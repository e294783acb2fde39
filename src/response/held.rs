//! What the responses under way hold together, so that many cannot use up the memory that each alone
//! does not.

use std::cell::Cell;
use std::rc::Rc;

use super::ResponseError;

/// How many bytes are held; a clone counts the same ones.
#[derive(Clone, Debug, Default)]
pub struct Held(Rc<Cell<usize>>);

impl Held {
    /// The part of a response that begins, which ends with it.
    #[must_use]
    pub fn begin(&self) -> Share {
        Share { all: self.clone(), bytes: 0 }
    }
}

/// One response's part of what is held.
#[derive(Debug)]
pub struct Share {
    all: Held,
    bytes: usize,
}

impl Share {
    /// From now on the response holds this many `bytes`.
    ///
    /// # Errors
    /// [`ResponseError::TooMuchHeld`] if they are more than before, and with all others over `limit`.
    pub fn hold(&mut self, bytes: usize, limit: usize) -> Result<(), ResponseError> {
        let before = std::mem::replace(&mut self.bytes, bytes);
        let all = self.all.0.get().saturating_sub(before).saturating_add(bytes);
        self.all.0.set(all);
        if bytes > before && all > limit { Err(ResponseError::TooMuchHeld) } else { Ok(()) }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.all.0.set(self.all.0.get().saturating_sub(self.bytes));
    }
}
