//! Load generator and servers to compare Parlor with.
