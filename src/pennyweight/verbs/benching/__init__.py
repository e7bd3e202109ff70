"""Parts of `bench`: what is timed, on which pictures, and in a process of its own."""
