//! Lets test programs find the Python they were linked to, where the system's loader does not know it. The wheel links
//! no Python and gets no path.

fn main() {
    pyo3_build_config::add_libpython_rpath_link_args();
}
