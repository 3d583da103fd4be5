//! Simulators and suites.
