/**
 * The Lucide icons that screens and plugins may name, each imported by itself so that a build carries no others.
 * A plugin that names one which is not here gets the neutral box.
 */
import Activity from '@lucide/svelte/icons/activity';
import Archive from '@lucide/svelte/icons/archive';
import ArrowDown from '@lucide/svelte/icons/arrow-down';
import ArrowLeft from '@lucide/svelte/icons/arrow-left';
import ArrowLeftRight from '@lucide/svelte/icons/arrow-left-right';
import ArrowRight from '@lucide/svelte/icons/arrow-right';
import ArrowUp from '@lucide/svelte/icons/arrow-up';
import AtSign from '@lucide/svelte/icons/at-sign';
import BadgePercent from '@lucide/svelte/icons/badge-percent';
import Ban from '@lucide/svelte/icons/ban';
import Bell from '@lucide/svelte/icons/bell';
import Bold from '@lucide/svelte/icons/bold';
import BookOpen from '@lucide/svelte/icons/book-open';
import Bot from '@lucide/svelte/icons/bot';
import Box from '@lucide/svelte/icons/box';
import Boxes from '@lucide/svelte/icons/boxes';
import Briefcase from '@lucide/svelte/icons/briefcase';
import Building from '@lucide/svelte/icons/building';
import Building2 from '@lucide/svelte/icons/building-2';
import Calendar from '@lucide/svelte/icons/calendar';
import CalendarCheck from '@lucide/svelte/icons/calendar-check';
import CalendarClock from '@lucide/svelte/icons/calendar-clock';
import CalendarDays from '@lucide/svelte/icons/calendar-days';
import ChartColumn from '@lucide/svelte/icons/chart-column';
import ChartLine from '@lucide/svelte/icons/chart-line';
import Check from '@lucide/svelte/icons/check';
import CheckCheck from '@lucide/svelte/icons/check-check';
import ChevronDown from '@lucide/svelte/icons/chevron-down';
import ChevronLeft from '@lucide/svelte/icons/chevron-left';
import ChevronRight from '@lucide/svelte/icons/chevron-right';
import ChevronsLeft from '@lucide/svelte/icons/chevrons-left';
import ChevronsRight from '@lucide/svelte/icons/chevrons-right';
import ChevronsUpDown from '@lucide/svelte/icons/chevrons-up-down';
import Circle from '@lucide/svelte/icons/circle';
import CircleAlert from '@lucide/svelte/icons/circle-alert';
import CircleCheck from '@lucide/svelte/icons/circle-check';
import CircleDollarSign from '@lucide/svelte/icons/circle-dollar-sign';
import CircleDot from '@lucide/svelte/icons/circle-dot';
import CircleQuestionMark from '@lucide/svelte/icons/circle-question-mark';
import CircleUser from '@lucide/svelte/icons/circle-user';
import CircleX from '@lucide/svelte/icons/circle-x';
import ClipboardList from '@lucide/svelte/icons/clipboard-list';
import Clock from '@lucide/svelte/icons/clock';
import CloudOff from '@lucide/svelte/icons/cloud-off';
import Code from '@lucide/svelte/icons/code';
import Cog from '@lucide/svelte/icons/cog';
import Coins from '@lucide/svelte/icons/coins';
import Columns3 from '@lucide/svelte/icons/columns-3';
import Contact from '@lucide/svelte/icons/contact';
import Copy from '@lucide/svelte/icons/copy';
import CornerDownLeft from '@lucide/svelte/icons/corner-down-left';
import CornerDownRight from '@lucide/svelte/icons/corner-down-right';
import DoorClosed from '@lucide/svelte/icons/door-closed';
import Ellipsis from '@lucide/svelte/icons/ellipsis';
import ExternalLink from '@lucide/svelte/icons/external-link';
import Eye from '@lucide/svelte/icons/eye';
import EyeOff from '@lucide/svelte/icons/eye-off';
import Factory from '@lucide/svelte/icons/factory';
import File from '@lucide/svelte/icons/file';
import FileText from '@lucide/svelte/icons/file-text';
import Filter from '@lucide/svelte/icons/filter';
import Flag from '@lucide/svelte/icons/flag';
import FlaskConical from '@lucide/svelte/icons/flask-conical';
import Folder from '@lucide/svelte/icons/folder';
import GitBranch from '@lucide/svelte/icons/git-branch';
import Globe from '@lucide/svelte/icons/globe';
import GripVertical from '@lucide/svelte/icons/grip-vertical';
import HandCoins from '@lucide/svelte/icons/hand-coins';
import Handshake from '@lucide/svelte/icons/handshake';
import Hash from '@lucide/svelte/icons/hash';
import Heading1 from '@lucide/svelte/icons/heading-1';
import Heading2 from '@lucide/svelte/icons/heading-2';
import Heart from '@lucide/svelte/icons/heart';
import History from '@lucide/svelte/icons/history';
import Hourglass from '@lucide/svelte/icons/hourglass';
import House from '@lucide/svelte/icons/house';
import Inbox from '@lucide/svelte/icons/inbox';
import Info from '@lucide/svelte/icons/info';
import Italic from '@lucide/svelte/icons/italic';
import Kanban from '@lucide/svelte/icons/kanban';
import Key from '@lucide/svelte/icons/key';
import Keyboard from '@lucide/svelte/icons/keyboard';
import Landmark from '@lucide/svelte/icons/landmark';
import Languages from '@lucide/svelte/icons/languages';
import Layers from '@lucide/svelte/icons/layers';
import LayoutList from '@lucide/svelte/icons/layout-list';
import LifeBuoy from '@lucide/svelte/icons/life-buoy';
import Link from '@lucide/svelte/icons/link';
import List from '@lucide/svelte/icons/list';
import ListChecks from '@lucide/svelte/icons/list-checks';
import ListFilter from '@lucide/svelte/icons/list-filter';
import ListOrdered from '@lucide/svelte/icons/list-ordered';
import ListTree from '@lucide/svelte/icons/list-tree';
import Lock from '@lucide/svelte/icons/lock';
import LogIn from '@lucide/svelte/icons/log-in';
import LogOut from '@lucide/svelte/icons/log-out';
import Mail from '@lucide/svelte/icons/mail';
import MapPin from '@lucide/svelte/icons/map-pin';
import Megaphone from '@lucide/svelte/icons/megaphone';
import Menu from '@lucide/svelte/icons/menu';
import MessageCircle from '@lucide/svelte/icons/message-circle';
import MessageSquareText from '@lucide/svelte/icons/message-square-text';
import MessagesSquare from '@lucide/svelte/icons/messages-square';
import Minus from '@lucide/svelte/icons/minus';
import Monitor from '@lucide/svelte/icons/monitor';
import Moon from '@lucide/svelte/icons/moon';
import MousePointerClick from '@lucide/svelte/icons/mouse-pointer-click';
import Network from '@lucide/svelte/icons/network';
import NotebookPen from '@lucide/svelte/icons/notebook-pen';
import Package from '@lucide/svelte/icons/package';
import PackageCheck from '@lucide/svelte/icons/package-check';
import PackageOpen from '@lucide/svelte/icons/package-open';
import PanelLeft from '@lucide/svelte/icons/panel-left';
import PanelRight from '@lucide/svelte/icons/panel-right';
import Paperclip from '@lucide/svelte/icons/paperclip';
import Pencil from '@lucide/svelte/icons/pencil';
import PenLine from '@lucide/svelte/icons/pen-line';
import Percent from '@lucide/svelte/icons/percent';
import Phone from '@lucide/svelte/icons/phone';
import Pin from '@lucide/svelte/icons/pin';
import Plane from '@lucide/svelte/icons/plane';
import Play from '@lucide/svelte/icons/play';
import Plug from '@lucide/svelte/icons/plug';
import Plus from '@lucide/svelte/icons/plus';
import Quote from '@lucide/svelte/icons/quote';
import Receipt from '@lucide/svelte/icons/receipt';
import Redo2 from '@lucide/svelte/icons/redo-2';
import RefreshCw from '@lucide/svelte/icons/refresh-cw';
import Repeat from '@lucide/svelte/icons/repeat';
import Reply from '@lucide/svelte/icons/reply';
import RotateCcw from '@lucide/svelte/icons/rotate-ccw';
import Route from '@lucide/svelte/icons/route';
import Search from '@lucide/svelte/icons/search';
import Send from '@lucide/svelte/icons/send';
import Settings from '@lucide/svelte/icons/settings';
import Share2 from '@lucide/svelte/icons/share-2';
import Shield from '@lucide/svelte/icons/shield';
import ShieldCheck from '@lucide/svelte/icons/shield-check';
import ShoppingBag from '@lucide/svelte/icons/shopping-bag';
import ShoppingCart from '@lucide/svelte/icons/shopping-cart';
import Sigma from '@lucide/svelte/icons/sigma';
import SkipForward from '@lucide/svelte/icons/skip-forward';
import SlidersHorizontal from '@lucide/svelte/icons/sliders-horizontal';
import Sparkles from '@lucide/svelte/icons/sparkles';
import SquareCheck from '@lucide/svelte/icons/square-check';
import SquareKanban from '@lucide/svelte/icons/square-kanban';
import Star from '@lucide/svelte/icons/star';
import StickyNote from '@lucide/svelte/icons/sticky-note';
import Store from '@lucide/svelte/icons/store';
import Sun from '@lucide/svelte/icons/sun';
import Table from '@lucide/svelte/icons/table';
import Tag from '@lucide/svelte/icons/tag';
import Tags from '@lucide/svelte/icons/tags';
import Target from '@lucide/svelte/icons/target';
import TextAlignStart from '@lucide/svelte/icons/text-align-start';
import Timer from '@lucide/svelte/icons/timer';
import Trash2 from '@lucide/svelte/icons/trash-2';
import TrendingUp from '@lucide/svelte/icons/trending-up';
import TriangleAlert from '@lucide/svelte/icons/triangle-alert';
import Truck from '@lucide/svelte/icons/truck';
import Undo2 from '@lucide/svelte/icons/undo-2';
import User from '@lucide/svelte/icons/user';
import UserCheck from '@lucide/svelte/icons/user-check';
import Upload from '@lucide/svelte/icons/upload';
import UserPlus from '@lucide/svelte/icons/user-plus';
import UserRound from '@lucide/svelte/icons/user-round';
import Users from '@lucide/svelte/icons/users';
import UsersRound from '@lucide/svelte/icons/users-round';
import UserX from '@lucide/svelte/icons/user-x';
import Wallet from '@lucide/svelte/icons/wallet';
import Warehouse from '@lucide/svelte/icons/warehouse';
import Workflow from '@lucide/svelte/icons/workflow';
import Wrench from '@lucide/svelte/icons/wrench';
import X from '@lucide/svelte/icons/x';
import Zap from '@lucide/svelte/icons/zap';

export const ICONS = {
  activity: Activity,
  archive: Archive,
  'arrow-down': ArrowDown,
  'arrow-left': ArrowLeft,
  'arrow-left-right': ArrowLeftRight,
  'arrow-right': ArrowRight,
  'arrow-up': ArrowUp,
  'at-sign': AtSign,
  'badge-percent': BadgePercent,
  ban: Ban,
  bell: Bell,
  bold: Bold,
  'book-open': BookOpen,
  bot: Bot,
  box: Box,
  boxes: Boxes,
  briefcase: Briefcase,
  building: Building,
  'building-2': Building2,
  calendar: Calendar,
  'calendar-check': CalendarCheck,
  'calendar-clock': CalendarClock,
  'calendar-days': CalendarDays,
  'chart-column': ChartColumn,
  'chart-line': ChartLine,
  check: Check,
  'check-check': CheckCheck,
  'chevron-down': ChevronDown,
  'chevron-left': ChevronLeft,
  'chevron-right': ChevronRight,
  'chevrons-left': ChevronsLeft,
  'chevrons-right': ChevronsRight,
  'chevrons-up-down': ChevronsUpDown,
  circle: Circle,
  'circle-alert': CircleAlert,
  'circle-check': CircleCheck,
  'circle-dollar-sign': CircleDollarSign,
  'circle-dot': CircleDot,
  'circle-question-mark': CircleQuestionMark,
  'circle-user': CircleUser,
  'circle-x': CircleX,
  'clipboard-list': ClipboardList,
  clock: Clock,
  'cloud-off': CloudOff,
  code: Code,
  cog: Cog,
  coins: Coins,
  'columns-3': Columns3,
  contact: Contact,
  copy: Copy,
  'corner-down-left': CornerDownLeft,
  'corner-down-right': CornerDownRight,
  'door-closed': DoorClosed,
  ellipsis: Ellipsis,
  'external-link': ExternalLink,
  eye: Eye,
  'eye-off': EyeOff,
  factory: Factory,
  file: File,
  'file-text': FileText,
  filter: Filter,
  flag: Flag,
  'flask-conical': FlaskConical,
  folder: Folder,
  'git-branch': GitBranch,
  globe: Globe,
  'grip-vertical': GripVertical,
  'hand-coins': HandCoins,
  handshake: Handshake,
  hash: Hash,
  'heading-1': Heading1,
  'heading-2': Heading2,
  heart: Heart,
  history: History,
  hourglass: Hourglass,
  house: House,
  inbox: Inbox,
  info: Info,
  italic: Italic,
  kanban: Kanban,
  key: Key,
  keyboard: Keyboard,
  landmark: Landmark,
  languages: Languages,
  layers: Layers,
  'layout-list': LayoutList,
  'life-buoy': LifeBuoy,
  link: Link,
  list: List,
  'list-checks': ListChecks,
  'list-filter': ListFilter,
  'list-ordered': ListOrdered,
  'list-tree': ListTree,
  lock: Lock,
  'log-in': LogIn,
  'log-out': LogOut,
  mail: Mail,
  'map-pin': MapPin,
  megaphone: Megaphone,
  menu: Menu,
  'message-circle': MessageCircle,
  'message-square-text': MessageSquareText,
  'messages-square': MessagesSquare,
  minus: Minus,
  monitor: Monitor,
  moon: Moon,
  'mouse-pointer-click': MousePointerClick,
  network: Network,
  'notebook-pen': NotebookPen,
  package: Package,
  'package-check': PackageCheck,
  'package-open': PackageOpen,
  'panel-left': PanelLeft,
  'panel-right': PanelRight,
  paperclip: Paperclip,
  'pen-line': PenLine,
  pencil: Pencil,
  percent: Percent,
  phone: Phone,
  pin: Pin,
  plane: Plane,
  play: Play,
  plug: Plug,
  plus: Plus,
  quote: Quote,
  receipt: Receipt,
  'redo-2': Redo2,
  'refresh-cw': RefreshCw,
  repeat: Repeat,
  reply: Reply,
  'rotate-ccw': RotateCcw,
  route: Route,
  search: Search,
  send: Send,
  settings: Settings,
  'share-2': Share2,
  shield: Shield,
  'shield-check': ShieldCheck,
  'shopping-bag': ShoppingBag,
  'shopping-cart': ShoppingCart,
  sigma: Sigma,
  'skip-forward': SkipForward,
  'sliders-horizontal': SlidersHorizontal,
  sparkles: Sparkles,
  'square-check': SquareCheck,
  'square-kanban': SquareKanban,
  star: Star,
  'sticky-note': StickyNote,
  store: Store,
  sun: Sun,
  table: Table,
  tag: Tag,
  tags: Tags,
  target: Target,
  'text-align-start': TextAlignStart,
  timer: Timer,
  'trash-2': Trash2,
  'trending-up': TrendingUp,
  'triangle-alert': TriangleAlert,
  truck: Truck,
  'undo-2': Undo2,
  user: User,
  'user-check': UserCheck,
  upload: Upload,
  'user-plus': UserPlus,
  'user-round': UserRound,
  'user-x': UserX,
  users: Users,
  'users-round': UsersRound,
  wallet: Wallet,
  warehouse: Warehouse,
  workflow: Workflow,
  wrench: Wrench,
  x: X,
  zap: Zap,
};

export type IconName = keyof typeof ICONS;

/** The component of an icon by its Lucide name. */
export const iconOf = (name: string): (typeof ICONS)[IconName] => ICONS[name as IconName] ?? ICONS.box;
