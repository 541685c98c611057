-- Wireshark and tshark dissector for stepagent's protocol 1 (docs/protocol.md, docs/wireshark.md).
--
--     tshark -X lua_script:stepagent.lua -2 -r run.pcapng -Y stepagent
--
-- Each message is one JSON object, which ends with its closing brace. A newline behind it is
-- optional; messages may span segments or share one. A message with an error_code is a reply.

local p = Proto("stepagent", "stepagent protocol 1")

p.prefs.ports = Pref.range("TCP ports", "8080", "The ports of agents. On other ports messages are recognised by their content.", 65535)

local f = p.fields
f.type = ProtoField.string("stepagent.type", "Type")
f.step_id = ProtoField.int64("stepagent.step_id", "Step")
f.timeout = ProtoField.double("stepagent.timeout", "Timeout (s)")
f.interval = ProtoField.double("stepagent.interval", "Interval (s)")
f.session = ProtoField.string("stepagent.session", "Session")
f.req = ProtoField.string("stepagent.req", "Req")
f.client = ProtoField.string("stepagent.client", "Client")
f.data = ProtoField.string("stepagent.data", "Data")
f.error_code = ProtoField.int32("stepagent.error_code", "Error code")
f.reason = ProtoField.string("stepagent.reason", "Reason")
f.detail = ProtoField.string("stepagent.detail", "Detail")
f.last = ProtoField.bool("stepagent.end", "End of the session")
f.agent = ProtoField.string("stepagent.agent", "Agent")
f.reply_in = ProtoField.framenum("stepagent.reply_in", "Reply in frame", base.NONE, frametype.RESPONSE)
f.request_in = ProtoField.framenum("stepagent.request_in", "Request in frame", base.NONE, frametype.REQUEST)
f.response_time = ProtoField.relative_time("stepagent.response_time", "Response time")
f.late = ProtoField.bool("stepagent.late", "Late")
f.duplicate = ProtoField.bool("stepagent.duplicate", "Duplicate reply")

local e = p.experts
local refused = ProtoExpert.new("stepagent.refused", "The step was refused", expert.group.RESPONSE_CODE, expert.severity.WARN)
local late = ProtoExpert.new("stepagent.late_reply", "The reply came after the timeout", expert.group.SEQUENCE, expert.severity.WARN)
local timeout = ProtoExpert.new("stepagent.timed_out", "No reply came before the timeout", expert.group.SEQUENCE, expert.severity.WARN)
local lost = ProtoExpert.new("stepagent.lost", "The connection ended before a reply came", expert.group.SEQUENCE, expert.severity.WARN)
local silent = ProtoExpert.new("stepagent.no_reply", "No reply is in this capture", expert.group.SEQUENCE, expert.severity.NOTE)
local again = ProtoExpert.new("stepagent.duplicate_reply", "A further reply to the same request", expert.group.SEQUENCE, expert.severity.NOTE)
local unasked = ProtoExpert.new("stepagent.unsolicited", "A reply to no request in this capture", expert.group.SEQUENCE, expert.severity.NOTE)
local malformed = ProtoExpert.new("stepagent.malformed", "No message of protocol 1", expert.group.MALFORMED, expert.severity.ERROR)
p.experts = {refused, late, timeout, lost, silent, again, unasked, malformed}

-- JSON -----------------------------------------------------------------------------------------

local MAX_DEPTH = 64 -- the agent's limit
local MAX_BYTES = 1024 * 1024 -- of a message, the highest limit of an agent

-- message_end returns the position of the brace that closes the object at from; nil when it has
-- not arrived, false when the text is no valid object.
local function message_end(text, from)
	local depth, i = 0, from
	while true do
		local at = text:find('["{}]', i)
		if not at then return nil end
		local c = text:sub(at, at)
		if c == '"' then
			local j = at + 1
			while true do
				j = text:find('["\\]', j)
				if not j then return nil end
				if text:sub(j, j) == '"' then break end
				j = j + 2
			end
			at = j
		elseif c == "{" then
			depth = depth + 1
			if depth > MAX_DEPTH then return false end
		else
			depth = depth - 1
			if depth == 0 then return at end
		end
		i = at + 1
	end
end

local escapes = {b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/"}

local function utf8(code)
	if code < 0x80 then return string.char(code) end
	if code < 0x800 then return string.char(0xC0 + math.floor(code / 64), 0x80 + code % 64) end
	if code < 0x10000 then
		return string.char(0xE0 + math.floor(code / 4096), 0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
	end
	return string.char(0xF0 + math.floor(code / 262144), 0x80 + math.floor(code / 4096) % 64,
		0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
end

local function unquote(raw)
	local text = raw:sub(2, -2)
	text = text:gsub("\\u([dD][89abAB]%x%x)\\u([dD][c-fC-F]%x%x)", function(high, low)
		return utf8(0x10000 + (tonumber(high, 16) - 0xD800) * 1024 + tonumber(low, 16) - 0xDC00)
	end)
	return (text:gsub("\\(u?)(%x?%x?%x?%x?)", function(u, hex)
		if u == "u" and #hex == 4 then return utf8(tonumber(hex, 16)) end
		if u == "u" then return nil end
		if hex ~= "" then -- \b and \f look like digits
			local c = escapes[hex:sub(1, 1)]
			return c and c .. hex:sub(2)
		end
	end):gsub('\\(["\\/bfnrt])', escapes))
end

-- value_end returns the position of the last character of the value at from.
local function value_end(text, from)
	local c = text:sub(from, from)
	if c == '"' then
		local j = from + 1
		while true do
			j = text:find('["\\]', j)
			if not j then return nil end
			if text:sub(j, j) == '"' then return j end
			j = j + 2
		end
	elseif c == "{" or c == "[" then
		local depth, i = 0, from
		while i <= #text do
			local d = text:sub(i, i)
			if d == '"' then
				i = value_end(text, i)
				if not i then return nil end
			elseif d == "{" or d == "[" then
				depth = depth + 1
			elseif d == "}" or d == "]" then
				depth = depth - 1
				if depth == 0 then return i end
			end
			i = i + 1
		end
		return nil
	end
	local _, last = text:find("^[%w%.%+%-]+", from)
	return last
end

-- members returns the members of an object by name, as {from, to, raw}; nil when it is invalid.
local function members(text)
	local found, at = {}, text:find("[^ \t\r\n]", 2)
	if not at then return nil end
	if text:sub(at, at) == "}" then return found end
	while true do
		if text:sub(at, at) ~= '"' then return nil end
		local stop = value_end(text, at)
		if not stop then return nil end
		local name = unquote(text:sub(at, stop))
		local _, colon = text:find("^[ \t\r\n]*:[ \t\r\n]*", stop + 1)
		if not colon then return nil end
		local last = value_end(text, colon + 1)
		if not last then return nil end
		if found[name] then return nil end -- the agent refuses duplicate names
		found[name] = {from = colon + 1, to = last, raw = text:sub(colon + 1, last)}
		local _, after, sign = text:find("^[ \t\r\n]*([,}])[ \t\r\n]*", last + 1)
		if not after then return nil end
		if sign == "}" then return found end
		at = after + 1
	end
end

local function integer(raw)
	local sign, digits = raw:match("^(%-?)(%d+)$")
	if not digits or #digits > 19 then return nil end
	local n = Int64.new(0)
	for d in digits:gmatch("%d") do
		n = n * 10 + tonumber(d)
	end
	if sign == "-" then n = Int64.new(0) - n end
	return n
end

-- State ----------------------------------------------------------------------------------------

-- Messages are kept by frame number, in the order of the frame. Requests and replies refer to
-- each other.
local streams, kept, cursor, latest

function p.init()
	streams, kept, cursor, latest = {}, {}, {}, 0
end

-- add_message keeps a message of the first pass and links a reply to its request.
local function add_message(pinfo, stream, m)
	local s = streams[stream]
	if not s then
		s = {requests = {}, by_req = {}, open = 1}
		streams[stream] = s
	end
	local entry = {frame = pinfo.number, time = pinfo.rel_ts, kind = m.kind, timeout = m.timeout}
	if m.kind == "request" then
		s.requests[#s.requests + 1] = entry
		if m.req then s.by_req[m.req] = entry end
		return entry
	end
	local asked
	if m.req then
		asked = s.by_req[m.req]
	else -- replies come in order
		while s.requests[s.open] and s.requests[s.open].reply do s.open = s.open + 1 end
		asked = s.requests[s.open]
	end
	entry.request = asked
	if asked then
		entry.took = entry.time - asked.time
		entry.late = asked.timeout ~= nil and entry.took >= asked.timeout
		if asked.reply then entry.duplicate = true else asked.reply = entry end
	end
	return entry
end

-- next_kept returns the next message of a frame that was dissected before.
local function next_kept(pinfo)
	local all = kept[pinfo.number]
	if not all then return nil end
	local n = (cursor[pinfo.number] or 0) % #all + 1
	cursor[pinfo.number] = n
	return all[n]
end

-- Messages -------------------------------------------------------------------------------------

local function text_of(m, name)
	local v = m[name]
	if v and v.raw:sub(1, 1) == '"' then return unquote(v.raw) end
	return nil
end

local function seconds(m, name)
	local v = m[name]
	return v and tonumber(v.raw)
end

-- connection identifies a connection by its ends: tcp.stream is not set in every first pass.
local function connection(pinfo)
	local a, b = tostring(pinfo.src) .. " " .. pinfo.src_port, tostring(pinfo.dst) .. " " .. pinfo.dst_port
	if a > b then a, b = b, a end
	return a .. " " .. b
end

local function show_message(range, text, pinfo, tree)
	local m = members(text)
	local branch = tree:add(p, range)
	local function at(name) return range(m[name].from - 1, m[name].to - m[name].from + 1) end
	if not m or not (m.step_id or m.error_code) then
		branch:add_proto_expert_info(malformed)
		return "no message"
	end
	local kind = m.error_code and "reply" or "request"
	local message = {kind = kind, timeout = seconds(m, "timeout"), req = m.req and m.req.raw}
	local entry
	if pinfo.visited then
		entry = next_kept(pinfo)
	else
		entry = add_message(pinfo, connection(pinfo), message)
		kept[pinfo.number] = kept[pinfo.number] or {}
		table.insert(kept[pinfo.number], entry)
	end
	branch:add(f.type, range, kind)
	local id = m.step_id and m.step_id.raw or "?"
	if m.step_id then
		local n = integer(m.step_id.raw)
		if n then branch:add(f.step_id, at("step_id"), n) end
	end
	for _, name in ipairs({"timeout", "interval"}) do
		local s = seconds(m, name)
		if s then branch:add(f[name], at(name), s) end
	end
	for _, name in ipairs({"session", "client", "reason", "detail", "agent"}) do
		local s = text_of(m, name)
		if s then branch:add(f[name], at(name), s) end
	end
	if m.req then branch:add(f.req, at("req"), text_of(m, "req") or m.req.raw) end
	if m.data then branch:add(f.data, at("data"), m.data.raw) end
	if m["end"] then branch:add(f.last, at("end"), m["end"].raw == "true") end
	local summary
	if kind == "request" then
		summary = "step " .. id
		if message.timeout then summary = summary .. ", timeout " .. m.timeout.raw .. " s" end
		if entry and entry.reply then branch:add(f.reply_in, entry.reply.frame):set_generated() end
		local over = entry and entry.timeout and latest - entry.time >= entry.timeout
		local gone = entry and not entry.reply and entry.ended
		if gone and not (entry.timeout and gone - entry.time >= entry.timeout) then
			branch:add_proto_expert_info(lost)
		elseif entry and (entry.reply and entry.reply.late or not entry.reply and over) then
			branch:add_proto_expert_info(timeout, "No reply came within " .. m.timeout.raw .. " s")
		elseif entry and pinfo.visited and not entry.reply then
			branch:add_proto_expert_info(silent)
		end
	else
		local code = tonumber(m.error_code.raw)
		if code then branch:add(f.error_code, at("error_code"), code) end
		local reason = text_of(m, "reason")
		if code == 0 and not reason then
			summary = "step " .. id .. " OK"
		else
			summary = "step " .. id .. " NOK " .. (reason or m.error_code.raw)
			branch:add_proto_expert_info(refused, "Refused: " .. (reason or "error code " .. m.error_code.raw))
		end
		if entry and entry.request then
			branch:add(f.request_in, entry.request.frame):set_generated()
			local whole = math.floor(entry.took)
			branch:add(f.response_time, NSTime.new(whole, math.floor((entry.took - whole) * 1e9 + 0.5))):set_generated()
			if entry.late then
				branch:add(f.late, true):set_generated()
				branch:add_proto_expert_info(late, string.format("The reply came %.3f s after the request, whose timeout is %g s", entry.took, entry.request.timeout))
				summary = summary .. " (late)"
			end
			if entry.duplicate then
				branch:add(f.duplicate, true):set_generated()
				branch:add_proto_expert_info(again)
				summary = summary .. " (again)"
			end
		elseif entry then
			branch:add_proto_expert_info(unasked)
		end
	end
	branch:append_text(", " .. kind .. ": " .. summary)
	return summary
end

-- dissect shows the messages of a segment, and asks for more when the last is not complete.
local function dissect(tvb, pinfo, tree)
	local text, at, said = tvb():raw(), 1, {}
	while true do
		local begin = text:find("[^ \t\r\n]", at)
		if not begin then break end
		if text:sub(begin, begin) ~= "{" then
			if #said == 0 then return 0 end -- another protocol
			tree:add(p, tvb(begin - 1)):add_proto_expert_info(malformed)
			break
		end
		local stop = message_end(text, begin)
		if stop == nil and #text - begin < MAX_BYTES and pinfo.can_desegment > 0 then
			pinfo.desegment_offset, pinfo.desegment_len = begin - 1, DESEGMENT_ONE_MORE_SEGMENT
			break
		elseif not stop then
			tree:add(p, tvb(begin - 1)):add_proto_expert_info(malformed)
			break
		end
		said[#said + 1] = show_message(tvb(begin - 1, stop - begin + 1), text:sub(begin, stop), pinfo, tree)
		at = stop + 1
	end
	pinfo.cols.protocol = "stepagent"
	if #said > 0 then pinfo.cols.info = table.concat(said, "; ") end
	return tvb:len()
end

function p.dissector(tvb, pinfo, tree) return dissect(tvb, pinfo, tree) end

-- On other ports a segment is stepagent's when it begins with an object that has a step_id.
local function recognises(tvb)
	local text = tvb():raw()
	return text:find('^[ \t\r\n]*{') and text:sub(1, 4096):find('"step_id"[ \t\r\n]*:')
end
p:register_heuristic("tcp", function(tvb, pinfo, tree)
	if not recognises(tvb) then return false end
	pinfo.conversation = p
	dissect(tvb, pinfo, tree)
	return true
end)

-- Over TLS that Wireshark can decrypt, by ALPN or by the content.
DissectorTable.get("tls.alpn"):add("stepagent/1", p)
p:register_heuristic("tls", function(tvb, pinfo, tree)
	if not recognises(tvb) then return false end
	dissect(tvb, pinfo, tree)
	return true
end)

local bound = ""
function p.prefs_changed()
	local ports = DissectorTable.get("tcp.port")
	if bound ~= "" then ports:remove(bound, p) end
	bound = p.prefs.ports
	if bound ~= "" then ports:add(bound, p) end
end
bound = p.prefs.ports
DissectorTable.get("tcp.port"):add(bound, p)

-- Every frame advances the end of the capture, which separates a timeout from a capture that ends
-- early. With the fields of TCP, as under a display filter, it also finds connections that ended.
local clock = Proto("stepagent_clock", "stepagent: the end of the capture")
local syn, fin, reset = Field.new("tcp.flags.syn"), Field.new("tcp.flags.fin"), Field.new("tcp.flags.reset")
function clock.dissector(_, pinfo, _)
	latest = math.max(latest, pinfo.rel_ts)
	if pinfo.visited then return end
	local s, f, r = syn(), fin(), reset()
	if s and s.value then -- ports may be reused
		streams[connection(pinfo)] = nil
	elseif f and f.value or r and r.value then
		local known = streams[connection(pinfo)]
		for _, request in ipairs(known and known.requests or {}) do
			request.ended = request.ended or pinfo.rel_ts
		end
	end
end
register_postdissector(clock)
