"""A saved policy as files that act without jaxsac."""
