//! HaloPSA.
