"""What the API's slices share: authentication, problems, pages, middleware, the HTTP protocol, and the OpenAPI document."""
