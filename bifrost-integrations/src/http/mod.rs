//! The outbound stack.
