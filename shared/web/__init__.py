"""Web code shared by the API's slices: authentication, problems, pagination, middleware, the HTTP protocol, and the OpenAPI document."""
