"""The hub described to programs, as OpenAPI 3.1 has it: made from its routes and its schemas."""
