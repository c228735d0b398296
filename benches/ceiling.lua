-- For wrk: the three requests of a job in equal numbers, as fast as a client can send them that does nothing else.
-- wrk does not tell whose answer it has: what a job's next request needs waits in a list that all connections share.

local submit = wrk.format("POST", "/v1/images/generations", {
    ["Authorization"] = "Bearer x", ["X-ModelScope-Async-Mode"] = "true", ["Content-Type"] = "application/json",
}, '{"model":"Tongyi-MAI/Z-Image-Turbo","prompt":"a cat number 1"}')
local poll_headers = { ["Authorization"] = "Bearer x", ["X-ModelScope-Task-Type"] = "image_generation" }
local tasks, images = {}, {}

function request()
    if #images > 0 then return wrk.format("GET", table.remove(images)) end
    if #tasks > 0 then return wrk.format("GET", "/v1/tasks/" .. table.remove(tasks), poll_headers) end
    return submit
end

function response(status, headers, body)
    local image = body:match('"output_images":%["http://[^/]*([^"]*)"')
    if image then
        table.insert(images, image)
    elseif headers["content-type"] == "application/json" then
        table.insert(tasks, (body:match('"task_id":"([^"]*)"')))
    end
end
