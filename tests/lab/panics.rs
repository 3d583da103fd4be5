//! Panics that attacks make.

use std::any::Any;

/// How the text of a panic begins that an attack makes on purpose.
pub(crate) const MADE: &str = "made by the attack:";

/// Keeps those out of the log; all others are printed as ever.
pub(crate) fn hush() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !text_of(panic.payload()).starts_with(MADE) {
            print(panic);
        }
    }));
}

/// The text of a panic.
pub(crate) fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no text".to_owned())
}
